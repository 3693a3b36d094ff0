"""The page in Chromium: clicks, keys, sorting and filters work, nothing is run that a name brought along."""

from __future__ import annotations

import numpy as np
import pytest

from tests.browser import chromium
from tests.hostile_names import HOSTILE_NAMES
from tests.report.pages import digits, write
from tests.report.test_page import hostile
from vitscope.records.predictions import Predictions
from vitscope.report.page import report_page
from vitscope.report.page_text import shown

pytestmark = pytest.mark.slow
_DRAWN = "[...document.querySelectorAll('canvas')].every((each) => each.dataset.drawn)"


@pytest.fixture(scope="module")
def tab():
    with chromium() as page:
        yield page


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    report_page({"tiny": write(digits()[1], folder / "e")}, folder / "report.html", maps=False)
    return folder / "report.html"


def panel(tab):
    return tab.evaluate("document.querySelector('.panel').innerText")


def quiet(tab):
    assert (tab.errors, tab.requests, tab.dialogs) == ([], [], [])
    return True


def test_a_cell_shows_its_images(tab, path):
    _, predictions = digits()
    said = np.argmax(predictions.logits, axis=1)
    tab.open(path)
    tab.click("td[data-cell='3,5']")
    tab.until(_DRAWN)
    count = int(np.sum((predictions.labels == 3) & (said == 5)))
    assert panel(tab).startswith("3 taken for 5")
    assert f"{count} of " in panel(tab)
    assert tab.evaluate("document.querySelectorAll('.panel canvas').length") == count
    ink = (
        "Math.max(...document.querySelector('.panel canvas').getContext('2d').getImageData(0, 0, 8, 8).data)"
    )
    assert tab.evaluate(ink) == 255
    tab.press("ArrowLeft", "ArrowUp", "Enter")
    assert panel(tab).startswith("2 taken for 4")
    tab.press("Home", "ArrowUp", "ArrowUp", "ArrowUp", " ")
    assert panel(tab).startswith("0 predicted right")
    tab.click(".confusion details summary")
    tab.click("tr[data-pair] .show")
    assert "taken for" in panel(tab)
    assert quiet(tab)


def test_tables_are_sorted_and_filtered(tab, path):
    tab.open(path)
    classes = (
        "[...document.querySelectorAll('table.classes tbody tr')].map((row) => row.cells[0].textContent)"
    )
    tab.click("table.classes th:first-child button")
    assert tab.evaluate(classes) == [str(index) for index in range(10)]
    tab.press("Enter")  # on the heading's button, which has the focus
    assert tab.evaluate(classes) == [str(9 - index) for index in range(10)]
    tab.click("table.classes th:nth-child(4) button")
    shares = (
        "[...document.querySelectorAll('table.classes tbody tr')].map((row) => +row.cells[3].dataset.value)"
    )
    assert tab.evaluate(shares) == sorted(tab.evaluate(shares))
    assert tab.evaluate("document.querySelector('th[aria-sort]').ariaSort") == "ascending"
    tab.click(".confusion details summary")
    tab.click(".confusion .filter input")
    tab.write("no such class")
    assert tab.evaluate("[...document.querySelectorAll('.pairs tbody tr')].every((row) => row.hidden)")
    assert quiet(tab)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_can_be_read(tab, path, width, dark):
    tab.open(path, width=width, dark=dark)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.evaluate(_CONTRAST) == []
    assert quiet(tab)


# Elements with text of their own whose colour has a contrast below 4.5 with what is behind them (WCAG 2).
_CONTRAST = """(() => {
  const light = (rgb) => rgb.map((each) => each / 255)
    .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const [red, green, blue, alpha = 1] = parts(getComputedStyle(element).backgroundColor);
    if (alpha === 1) return [red, green, blue];
    const under = behind(element.parentElement);
    return [red, green, blue].map((each, place) => alpha * each + (1 - alpha) * under[place]);
  };
  const poor = [];
  for (const element of document.body.querySelectorAll('*')) {
    if (element.closest('script, .skip, svg')) continue;
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const ends = [light(parts(getComputedStyle(element).color).slice(0, 3)), light(behind(element))];
    const contrast = (Math.max(...ends) + 0.05) / (Math.min(...ends) + 0.05);
    if (contrast < 4.5) poor.push(`${element.tagName} ${element.className} ${contrast.toFixed(2)}`);
  }
  return poor;
})()"""


def test_without_script_it_can_be_read(tab, path):
    tab.open(path, script=False)
    assert quiet(tab)
    tab.open(path)


def test_hostile_names_run_nothing(tab, tmp_path):
    runs = {name: write(hostile(), tmp_path / f"run{index}") for index, name in enumerate(HOSTILE_NAMES[:2])}
    report_page(runs, tmp_path / "report.html", title=HOSTILE_NAMES[3], maps=False)
    tab.open(tmp_path / "report.html", width=390)
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    tab.open(tmp_path / "report.html")
    assert tab.evaluate("document.title") == HOSTILE_NAMES[3]
    for index, name in enumerate(HOSTILE_NAMES):
        tab.evaluate(f"document.querySelector('td[data-cell=\"{index},{index}\"]').click()")
        heading = tab.evaluate("document.querySelector('.panel h4 bdi').textContent")
        assert heading == (name if "\udcff" in name else shown(name)) or heading.startswith("\ufffd")
    tab.evaluate("document.querySelectorAll('button, summary').forEach((each) => each.click())")
    tab.hover("h1")
    assert tab.evaluate("document.querySelectorAll('main script, main style, main iframe').length") == 0
    assert quiet(tab)


def test_a_large_matrix_is_a_picture_to_click(tab, tmp_path):
    count = 40
    labels = np.arange(400) % count
    logits = np.zeros((400, count))
    logits[np.arange(400), labels] = 1
    logits[0, 20] = 2
    names = tuple(f"c{index}" for index in range(count))
    predictions = Predictions(logits, labels, names, tuple(map(str, range(400))))
    report_page({"many": write(predictions, tmp_path / "e")}, tmp_path / "report.html", maps=False)
    tab.open(tmp_path / "report.html")
    order = [
        int(each) for each in tab.evaluate("document.querySelector('.picture').dataset.order").split(",")
    ]
    tab.click(".picture img", right=(order.index(20) + 0.5) / count, down=(order.index(0) + 0.5) / count)
    assert panel(tab).startswith("c0 taken for c20")
    tab.press("Enter")
    assert "1 of 10 images: 10.0 %" in panel(tab)
    assert quiet(tab)
