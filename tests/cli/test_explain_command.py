"""`vitscope attention` and `vitscope explain`: what goes together, and what is written."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from vitscope.cli.explained import brief
from vitscope.cli.mistakes import find_pair
from vitscope.cli.subjects import find_class, parse_parts
from vitscope.errors import UsageError
from vitscope.explain.methods import METHODS
from vitscope.records.heatmap import Heatmap
from vitscope.records.predictions import Predictions

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
    (["explain", "--errors", "e", "--method", "grad-cam", "--pool", "cls"], "grad-cam does not"),
    (["explain", "--methods", "grad-cam,occlusion", "--pool", "mean"], "none of grad-cam, occlusion does"),
    (["explain", "--pool", "both"], "'--pool': 'both' is not one of 'cls', 'mean'"),
    (["attention", "--split", "foo"], "'--split': 'foo' is not one of 'train', 'validation', 'test'"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_does_not_go_together(run, words, said):
    index = [] if "--errors" in words else ["--index", "0"]
    answer = run(*words, *index)
    assert answer.exit_code == 2, answer.output
    assert answer.stdout == ""
    assert said in answer.stderr
    assert len(answer.stderr.splitlines()) <= 2


@pytest.mark.slow
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


def test_long_class_names_leave_room_in_a_table():
    long = "tench, " * 30 + "Tinca"
    assert brief("x" * 40) == "x" * 40
    assert len(brief(long)) == 40
    assert brief(long).startswith("tench, tench")
    assert brief(long).endswith("tench, Tinca")


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


@pytest.mark.slow
def test_several_methods_and_layers_in_json(run, tiny_run, tmp_path):
    checkpoint = ("--checkpoint", tiny_run / "best.pth", "--json", "--quiet")
    answer = run("attention", "--methods", "rollout, relevance", "--index", "0-1", *checkpoint, "--out", "a")
    assert answer.exit_code == 0, answer.stderr
    assert answer.stderr == ""
    told = json.loads(answer.stdout)
    keys = ["folder", "checkpoint", "methods", "heatmaps", "images", "faithfulness", "warnings"]
    assert list(told) == keys
    assert told["warnings"] == []
    assert told["heatmaps"] == {"rollout": "heatmaps-rollout.npz", "relevance": "heatmaps-relevance.npz"}
    assert [set(row) for row in told["images"]] == [
        {"name", "predicted", "confidence", "explained", "figure"}
    ] * 2
    answer = run("attention", "--grid", "--index", "0", "--heads", "1", *checkpoint, "--out", "b")
    assert answer.exit_code == 0, answer.stderr
    assert len(Heatmap.load(tmp_path / "b" / "heatmaps.npz")) == 2  # layers
    for words, said in (
        (["--layers", "9-12"], "a layer in 0 … 1"),
        (["--raw", "--heads", "2"], "a head in 0 … 1"),
    ):
        answer = run("attention", *words, "--index", "0", *checkpoint, "--out", "c")
        assert answer.exit_code == 2
        assert answer.stdout == ""
        assert said in answer.stderr
        assert "hint: the model has 2" in answer.stderr
    assert not (tmp_path / "c").exists()


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    """A folder with a classifier of DINOv2's kind, whose head reads the class token and the mean."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32}
    config = transformers.Dinov2Config(**shape, patch_size=8, id2label={0: "cat", 1: "dog"})
    path = tmp_path_factory.mktemp("hf") / "dinov2"
    transformers.Dinov2ForImageClassification(config).save_pretrained(path)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(path)
    return path


@pytest.mark.slow
def test_the_pool_of_a_head_that_reads_both_is_asked_for(run, dinov2, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    words = ("a.png", "--methods", "rollout,relevance", "--checkpoint", f"hf:{dinov2}", "--quiet", "--json")
    answer = run("explain", *words, "--out", "o")
    assert answer.exit_code == 3
    assert "hint: say which the map is to be read from: --pool cls or --pool mean" in answer.stderr
    found = {}
    for pool in ("cls", "mean"):
        answer = run("explain", *words, "--pool", pool, "--out", pool)
        assert answer.exit_code == 0, answer.stderr
        for name in ("rollout", "relevance"):
            found[name, pool] = Heatmap.load(tmp_path / pool / f"heatmaps-{name}.npz")
            assert found[name, pool].options["pool"] == pool
    assert not np.allclose(found["rollout", "cls"].values, found["rollout", "mean"].values)


@pytest.mark.slow
def test_every_command_takes_the_pool(run, dinov2, tmp_path):
    for number, name in enumerate(("cat", "dog") * 2):
        (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    model, data = f"hf:{dinov2}", ("--data", "data", "--json", "--quiet")
    answer = run(
        "attention", "--grid", "--index", "0", "--checkpoint", model, *data, "--pool", "cls", "--out", "a"
    )
    assert answer.exit_code == 0, answer.stderr
    assert Heatmap.load(tmp_path / "a" / "heatmaps.npz").options["query"] == "class token"
    answer = run("faithfulness", model, *data, "--metrics", "deletion", "--pool", "cls", "--out", "f")
    assert answer.exit_code == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert {"rollout", "relevance", "legrad", "grad-cam"} <= {row["method"] for row in told["methods"]}
    assert told["method_options"]["relevance"] == {"pool": "cls"}
    assert told["warnings"] == ["scores of 4 images say little of a method, and their intervals are wide"]
    answer = run("inspect", model, *data, "--only", "heads,class-rollout,cka", "--pool", "cls", "--out", "i")
    assert answer.exit_code == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert told["parts"] == ["heads", "class-rollout", "cka"]
    assert "class_entropy" in told["heads"]
    assert "CKA over 4 images is noisy" in told["warnings"][0]


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
def test_the_mistakes_of_an_evaluation(run, evaluated, tmp_path):
    answer = run("explain", "--errors", evaluated, "--limit", "3", "--difference", "--json", "--out", "m")
    assert answer.exit_code == 0, answer.stderr
    told = json.loads(answer.stdout)
    predictions = Predictions.load(evaluated / "predictions")
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
    answer = run("explain", "--errors", evaluated, "--pair", "1,eleven", "--out", "n")
    assert answer.exit_code == 2
    assert "no class 'eleven'" in answer.stderr
    answer = run("explain", "--errors", evaluated, "--weights", "w.pth", "--out", "n")
    assert answer.exit_code == 2
    assert "--weights goes with a named model" in answer.stderr
