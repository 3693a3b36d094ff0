"""`vitscope attention` and `vitscope explain`: what goes together, and what is written."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from vitscope.cli.main import app
from vitscope.cli.mistakes import find_pair
from vitscope.cli.subjects import find_class, parse_parts
from vitscope.errors import UsageError
from vitscope.explain.methods import METHODS
from vitscope.records.heatmap import Heatmap
from vitscope.records.predictions import Predictions


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VITSCOPE_CHECKPOINT", raising=False)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


REFUSED = [
    (["attention", "--rollout", "--raw"], "--rollout and --raw"),
    (["attention", "--grid", "--rollout"], "--rollout and --grid"),
    (["attention", "--raw", "--method", "relevance"], "--raw and --method"),
    (["attention", "--methods", "rollout,raw", "--method", "raw"], "--method and --methods"),
    (["attention", "--method", "rolout"], "did you mean rollout?"),
    (["attention", "--methods", "rollout,,raw"], "--methods like"),
    (["attention", "--methods", "raw,raw"], "named twice"),
    (["attention", "--animate", "--raw"], "--animate is for --rollout"),
    (["attention", "--animate", "--method", "relevance"], "--animate is for --rollout"),
    (["attention", "--animate", "--layers", "0-2"], "leave out --layers"),
    (["attention", "--heads", "0"], "--heads is for --raw"),
    (["attention", "--methods", "rollout,raw", "--layers", "1"], "--layers is for"),
    (["attention", "--raw", "--layers", "first"], "--layers like"),
    (["attention", "--raw", "--heads", "0:3"], "--heads like"),
    (["attention", "--grid", "--evaluate"], "--evaluate is for whole methods"),
    (["attention", "--raw", "--target", "cat"], "--target is for whole methods"),
    (["attention", "--grid", "--overlays"], "--overlays is for whole methods"),
    (["attention", "--target", "cat"], "explains none"),
    (["explain", "--methods", "rollout,relevance", "--target", "1", "--target", "2"], "rollout explains"),
    (["explain", "--method", "relevance", "--target", "1", "--target", "2", "--evaluate"], "one target"),
    (["explain", "--target", "1", "--target", "2", "--evaluate"], "one target"),
    (["explain", "--pair", "1,2"], "go with --errors"),
    (["explain", "--limit", "3"], "go with --errors"),
    (["explain", "--errors", "evaluation", "--split", "train"], "leave out --split"),
    (["explain", "--errors", "e", "--target", "3"], "leave out --target"),
    (["explain", "--errors", "e", "--method", "raw"], "explains no class"),
    (["explain", "--errors", "e", "--methods", "raw"], "leave out --methods"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_does_not_go_together(run, words, said):
    index = [] if "--errors" in words else ["--index", "0"]
    answer = run(*words, *index)
    assert answer.exit_code == 2, answer.output
    assert answer.stdout == ""
    assert said in answer.stderr
    assert len(answer.stderr.splitlines()) <= 2


def test_it_is_refused_before_torch_is_there():
    """In one process, the runner of which keeps what was imported."""
    code = (
        "import sys\nfrom vitscope.cli.main import app\n"
        f"for words in {[words for words, _ in REFUSED]!r}:\n"
        "    try: app([*words, '--index', '0'])\n"
        "    except SystemExit as leave: assert leave.code == 2, words\n"
        "try: app(['explain', '--list'])\nexcept SystemExit as leave: assert not leave.code\n"
        "assert not {'torch', 'matplotlib', 'timm'} & set(sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_true_classes_are_those_of_the_data_alone(run, tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    for more in ([], ["--index", "0"]):
        answer = run("explain", "a.png", "--target", "true", *more)
        assert answer.exit_code == 2
        assert "files have none" in answer.stderr


def test_the_list_of_methods(run):
    shown = run("explain", "--list").stdout
    assert all(name in shown and method.source in shown for name, method in METHODS.items())
    listed = json.loads(run("explain", "--list", "--json").stdout)["methods"]
    assert [each["name"] for each in listed] == list(METHODS)
    assert set(listed[0]) >= {"title", "needs", "applies", "per_class", "signed", "cost", "source"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("0-5", ((0, 5),)),
        ("-1", ((-1, -1),)),
        ("-3--1", ((-3, -1),)),
        ("0,3, 6-8", ((0, 0), (3, 3), (6, 8))),
        ("all", ((0, -1),)),
        ("", ()),
    ],
)
def test_parts_of_layers(text, parts):
    assert parse_parts(text, "--layers") == parts


@pytest.mark.parametrize("text", ["x", "1-", "1-2-3", "1,,2", "٣", "1.5", "9" * 30])
def test_texts_that_are_no_parts(text):
    with pytest.raises(UsageError, match="--layers like"):
        parse_parts(text, "--layers")


def test_a_class_by_name_or_number():
    classes = ("tench, Tinca tinca", "1", "0", "Cat", "_$dog%")
    assert find_class(classes, "tench, Tinca tinca") == 0
    assert find_class(classes, "0") == 2  # names come first
    assert find_class(classes, "3") == 3
    for text, hint in (("cat", "Cat"), ("_$dog", "_$dog%"), ("5", "such as"), ("-1", ""), ("٣", "")):
        with pytest.raises(UsageError, match="no class") as refusal:
            find_class(classes, text)
        assert hint in refusal.value.hint


def test_a_pair_of_names_with_commas():
    classes = ("tench, Tinca", "goldfish", "a,b", "c")
    assert find_pair("tench, Tinca,goldfish", classes) == (0, 1)
    assert find_pair("c, tench, Tinca", classes) == (3, 0)
    assert find_pair("a,b,c", classes) == (2, 3)
    assert find_pair("3,1", classes) == (3, 1)
    with pytest.raises(UsageError, match="--pair like"):
        find_pair("goldfish", classes)
    with pytest.raises(UsageError, match="no class 'd'"):
        find_pair("c,d", classes)


def test_several_methods_and_layers_in_json(run, tiny_run, tmp_path):
    checkpoint = ("--checkpoint", tiny_run / "best.pth", "--json", "--quiet")
    answer = run("attention", "--methods", "rollout, relevance", "--index", "0-1", *checkpoint, "--out", "a")
    assert answer.exit_code == 0, answer.stderr
    assert answer.stderr == ""
    told = json.loads(answer.stdout)
    assert list(told) == ["folder", "checkpoint", "methods", "heatmaps", "images", "faithfulness"]
    assert told["heatmaps"] == {"rollout": "heatmaps-rollout.npz", "relevance": "heatmaps-relevance.npz"}
    assert [set(row) for row in told["images"]] == [
        {"name", "predicted", "confidence", "explained", "figure"}
    ] * 2
    answer = run("attention", "--grid", "--index", "0", "--heads", "1", *checkpoint, "--out", "b")
    assert answer.exit_code == 0, answer.stderr
    assert len(Heatmap.load(tmp_path / "b" / "heatmaps.npz")) == 2  # layers


@pytest.mark.slow
def test_the_default_says_which_method_it_is(run, tiny_run, tmp_path):
    answer = run(
        "explain", "--index", "0", "--target", "true", "--checkpoint", tiny_run / "best.pth", "--out", "o"
    )
    assert answer.exit_code == 0, answer.stderr
    assert "method: relevance" in answer.stderr
    assert "explained" in answer.stdout
    assert Heatmap.load(tmp_path / "o" / "heatmaps.npz").method == "relevance"
    answer = run("explain", "--index", "0", "--target", "11", "--checkpoint", tiny_run / "best.pth")
    assert answer.exit_code == 2
    assert "no class '11'" in answer.stderr


@pytest.mark.slow
def test_the_mistakes_of_an_evaluation(run, tiny_run, tmp_path):
    assert run("evaluate", tiny_run / "best.pth", "--out", "e", "--quiet").exit_code == 0
    answer = run("explain", "--errors", "e", "--limit", "3", "--difference", "--json", "--out", "m")
    assert answer.exit_code == 0, answer.stderr
    told = json.loads(answer.stdout)
    predictions = Predictions.load(tmp_path / "e" / "predictions")
    classes = list(predictions.classes)
    table = np.zeros((10, 10), int)
    for true, said in zip(predictions.labels, predictions.predicted, strict=True):
        table[true, said] += true != said
    first, second = (classes.index(name) for name in told["pair"])
    assert table[first, second] == table.max()
    assert told["counts"] == [table[first, second], table[second, first]]
    assert len(Heatmap.load(tmp_path / "m" / "heatmaps.npz")) == 2 * len(told["images"])
    answer = run("explain", "--errors", "m", "--out", "n")
    assert answer.exit_code == 3
    assert "no evaluation" in answer.stderr
    answer = run("explain", "--errors", "e", "--pair", "1,eleven", "--out", "n")
    assert answer.exit_code == 2
    assert "no class 'eleven'" in answer.stderr
    answer = run("explain", "--errors", "e", "--weights", "w.pth", "--out", "n")
    assert answer.exit_code == 2
    assert "--weights goes with a named model" in answer.stderr
