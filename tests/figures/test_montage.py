from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from vitscope.errors import ImageError, InputError
from vitscope.figures.files import save_figure
from vitscope.figures.montage import Sheet, picture_at
from vitscope.figures.style import drawing

BOX = (0.5, 0.25, 1.0, 0.8)
TIMES = "\N{MULTIPLICATION SIGN}"


def _drawn(pixels, box=BOX):
    with drawing():
        sheet = Sheet(2.0)
        sheet.picture(pixels, box, colour="#123456")
    return sheet


def _place(sheet):
    """Left, top, right, bottom of the one picture, in inches."""
    left, right, bottom, top = sheet.ax.images[0].get_extent()
    return left, top, right, bottom


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.2, 2), st.floats(0.2, 1.5))
def test_undistorted_within_the_box_and_as_large_as_fits(down, across, width, height):
    box = (0.1, 0.2, width, height)
    sheet = _drawn(np.full((down, across, 3), 99, np.uint8), box)
    left, top, right, bottom = _place(sheet)
    assert left >= 0.1 - 1e-9
    assert top >= 0.2 - 1e-9
    assert right <= 0.1 + width + 1e-9
    assert bottom == pytest.approx(0.2 + height)
    fits = right - left == pytest.approx(width) or bottom - top == pytest.approx(height)
    assert fits
    slim = max(down, across) / min(down, across)
    if slim <= max(1.0, min(10.0, max(width, height) / 0.07)):
        assert (bottom - top) / (right - left) == pytest.approx(down / across)
        assert len(sheet.ax.lines) == 0


@pytest.mark.parametrize("shape", [(1, 20_000), (20_000, 1), (20_000, 1, 3), (40, 4000, 3), (5, 60)])
def test_a_very_long_picture_keeps_both_ends_and_its_proportions(shape):
    long = 0 if shape[0] > shape[1] else 1
    ramp = np.linspace(0, 250, shape[long]).astype(np.uint8)
    pixels = np.zeros(shape, np.uint8)
    pixels += ramp.reshape([-1 if axis == long else 1 for axis in range(len(shape))])
    sheet = _drawn(pixels, (0.1, 0.1, 1.4, 1.4))
    left, top, right, bottom = _place(sheet)
    assert min(right - left, bottom - top) >= 0.07  # visible
    assert max(right - left, bottom - top) <= 10.001 * min(right - left, bottom - top)
    shown = sheet.ax.images[0].get_array()
    along = shown[:, 0, 0] if long == 0 else shown[0, :, 0]
    assert along[0] == ramp[0]
    assert along[-1] == ramp[-1]
    assert 255 in along  # the gap
    assert len(sheet.ax.lines) == 2
    note = f"{shape[1]:,}{TIMES}{shape[0]:,} px, middle cut"
    assert [text.get_text() for text in sheet.ax.texts] == [note]


@pytest.mark.parametrize("shape", [(1, 9), (2, 20), (90, 9), (30, 200)])
def test_a_cut_or_whole_pixel_is_a_square(shape):
    sheet = _drawn(np.zeros(shape, np.uint8))
    left, top, right, bottom = _place(sheet)
    down, across = sheet.ax.images[0].get_array().shape[:2]
    assert (right - left) / across == pytest.approx((bottom - top) / down)


def test_a_note_of_the_size_is_as_long_as_there_is_room():
    pixels = np.zeros((1, 20_000), np.uint8)
    notes = [
        [text.get_text() for text in _drawn(pixels, (0, 0, width, 1)).ax.texts] for width in (1.2, 0.43, 0.3)
    ]
    assert notes == [[f"20,000{TIMES}1 px, middle cut"], [f"20,000{TIMES}1"], []]


def test_framed_in_its_colour():
    sheet = _drawn(np.zeros((8, 8), np.uint8))
    (frame,) = (patch for patch in sheet.ax.patches if isinstance(patch, Rectangle))
    assert to_hex(frame.get_edgecolor()) == "#123456"
    left, top, right, bottom = _place(sheet)
    assert frame.get_bbox().extents == pytest.approx((left, top, right, bottom))


def test_pixels_of_small_pictures_are_squares_and_their_colours_exact():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = _drawn(pixels).ax.images[0]
    assert image.get_interpolation() == "none"
    shown = np.asarray(image.get_array())
    times = len(shown) // 8
    assert times >= 20
    np.testing.assert_array_equal(shown, np.kron(pixels, np.ones((times, times, 1), np.uint8)))


def test_dark_grey_is_not_stretched():
    shown = np.asarray(_drawn(np.full((4, 4), 10, np.uint8)).ax.images[0].get_array())
    assert shown.shape[2] == 3
    assert np.unique(shown).tolist() == [10]


def test_large_pictures_are_kept_no_finer_than_print():
    pixels = np.zeros((3000, 4000, 3), np.uint8)
    pixels[:, 2000:] = 200
    sheet = _drawn(pixels)
    shown = np.asarray(sheet.ax.images[0].get_array())
    assert shown.shape == (225, 300, 3)
    assert shown[:, :149].max() == 0
    assert shown[:, 151:].min() == 200
    left, top, right, bottom = _place(sheet)
    assert (bottom - top) / (right - left) == pytest.approx(0.75)


def test_what_cannot_be_read_says_so():
    for width, lines in ((1.0, ["cannot be read"]), (0.5, ["cannot", "be read"])):
        sheet = _drawn(None, (0, 0, width, 0.5))
        assert len(sheet.ax.images) == 0
        assert [text.get_text() for text in sheet.ax.texts] == lines


@pytest.mark.parametrize("error", [ImageError("cut"), OSError("gone")], ids=["image", "disk"])
def test_a_picture_that_cannot_be_read_is_none(error):
    def images(index):
        raise error

    assert picture_at(images, 0) is None


def test_other_errors_are_not_hidden():
    def images(index):
        raise KeyError(index)

    with pytest.raises(KeyError):
        picture_at(images, 0)
    with pytest.raises(IndexError):
        picture_at([], 3)
    with pytest.raises(InputError, match="expected image 0 as uint8"):
        picture_at([np.zeros((3, 3))], 0)


def test_text_is_cut_to_its_width():
    with drawing():
        sheet = Sheet(1.0)
        sheet.text(0.1, 0.5, "W" * 255, width=1.0)
        sheet.text(0.1, 0.7, "$\\frac$\nline", width=1.0)
    sheet.figure.set_dpi(300)
    sheet.figure.draw_without_rendering()
    first, second = sheet.ax.texts
    assert first.get_window_extent().width <= 301
    assert "…" in first.get_text()
    assert second.get_text() == "$\\frac$ line"


def test_a_pdf_holds_each_picture_by_itself(tmp_path):
    with drawing():
        sheet = Sheet(1.0)
        for column in range(3):
            sheet.picture(np.full((4, 4, 3), 40 * column, np.uint8), (column, 0, 0.9, 0.9), colour="black")
    pdf = save_figure(sheet.figure, tmp_path / "sheet")[0].read_bytes()
    assert pdf.count(b"/Subtype /Image") == 3


def test_a_layout_of_the_users_own_moves_nothing(tmp_path):
    with mpl.rc_context({"figure.autolayout": True}):
        sheet = _drawn(np.zeros((8, 8), np.uint8))
        save_figure(sheet.figure, tmp_path / "sheet")
    assert sheet.figure.get_layout_engine() is None
    assert sheet.ax.get_position().bounds == (0, 0, 1, 1)
