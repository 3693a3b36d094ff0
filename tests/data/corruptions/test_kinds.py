from __future__ import annotations

import numpy as np
import pytest

from vitscope.data.corruptions.kinds import CORRUPTIONS, EXTRA, FAMILIES, MAIN, choose_kinds
from vitscope.data.corruptions.streams import Streams
from vitscope.errors import UsageError


def test_fifteen_count_and_four_are_extra():
    assert len(MAIN) == 15
    assert EXTRA == ("speckle_noise", "gaussian_blur", "spatter", "saturate")
    assert tuple(CORRUPTIONS) == MAIN + EXTRA
    sizes = [sum(each.family == family for each in CORRUPTIONS.values()) for family in FAMILIES]
    assert sizes == [3, 4, 4, 4, 4]
    assert all(name == each.kind for name, each in CORRUPTIONS.items())


def test_titles():
    assert CORRUPTIONS["jpeg_compression"].title == "JPEG compression"
    assert CORRUPTIONS["gaussian_noise"].title == "Gaussian noise"


def test_kinds_are_chosen_by_name_and_family_in_their_order():
    assert choose_kinds(["fog", "noise", "fog"]) == ("gaussian_noise", "shot_noise", "impulse_noise", "fog")
    assert choose_kinds(["main"]) == MAIN
    assert choose_kinds(["all"]) == tuple(CORRUPTIONS)
    assert choose_kinds(iter(["extra"])) == EXTRA


def test_unknown_kinds_are_refused_with_a_guess():
    with pytest.raises(UsageError, match="no corruption 'frsot'") as caught:
        choose_kinds(["frsot"])
    assert caught.value.hint.startswith("did you mean frost?")
    with pytest.raises(UsageError, match="at least one"):
        choose_kinds([])


def test_draws_depend_on_the_image_and_not_on_its_batch():
    together = Streams(7, "fog", 2, [0, 5, 9])
    alone = Streams(7, "fog", 2, [5])
    for draw in (
        lambda streams: streams.normal((2, 3)),
        lambda streams: streams.uniform((4,)),
        lambda streams: streams.integers(-2, 2, (5,)),
        lambda streams: streams.poisson(np.full((len(streams), 3), 40.0)),
    ):
        assert np.array_equal(draw(together)[1], draw(alone)[0])


@pytest.mark.parametrize(
    "other", [(8, "fog", 2, [5]), (7, "snow", 2, [5]), (7, "fog", 3, [5]), (7, "fog", 2, [6])]
)
def test_everything_named_changes_the_draws(other):
    assert not np.array_equal(Streams(7, "fog", 2, [5]).uniform((8,)), Streams(*other).uniform((8,)))


def test_draws_do_not_repeat():
    streams = Streams(0, "fog", 1, range(50))
    values = np.concatenate([streams.uniform((100,)).ravel(), streams.uniform((100,)).ravel()])
    assert len(np.unique(values)) > 0.999 * len(values)  # float32 has 2²⁴ values in [0, 1)


def test_draws_have_their_distributions():
    streams = Streams(3, "fog", 1, range(200))
    normal, uniform = streams.normal((500,)), streams.uniform((500,))
    assert normal.mean() == pytest.approx(0, abs=0.01)
    assert normal.std() == pytest.approx(1, abs=0.01)
    assert uniform.mean() == pytest.approx(0.5, abs=0.005)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    whole = streams.integers(-2, 2, (500,))
    assert np.bincount(whole.ravel() + 2) / whole.size == pytest.approx([0.25] * 4, abs=0.01)
    counts = streams.poisson(np.full((200, 500), 9.0))
    assert (counts.mean(), counts.var()) == pytest.approx((9, 9), abs=0.15)


def test_the_first_draws_are_these_for_ever():
    """Philox and its floats are stable: a change here would make other images of the same name."""
    drawn = Streams(0, "fog", 1, [0, 1]).uniform((2,))
    again = Streams(0, "fog", 1, [1]).uniform((2,))
    assert np.array_equal(drawn[1], again[0])
    key = Streams(0, "fog", 1, [0])._key
    expected = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, 1])).random(
        2, dtype=np.float32
    )
    assert np.array_equal(drawn[1], expected)


@pytest.mark.parametrize("index", [-1, 2**63])
def test_indices_out_of_range_are_refused(index):
    with pytest.raises(UsageError, match="indices"):
        Streams(0, "fog", 1, [3, index])
