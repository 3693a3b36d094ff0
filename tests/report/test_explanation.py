"""The explanation and attention folders: the right map of the right image in the right file, or nothing."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from tests.oracles.smallnets import timm_net
from vitscope.capture.tape import capture
from vitscope.data.images import read_image
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import CaptureError, ImageError, InputError, OutputError, UsageError
from vitscope.explain.methods import explain
from vitscope.figures.overlay import Scale, overlay
from vitscope.inference.classifier import Classifier
from vitscope.records.heatmap import Heatmap
from vitscope.report.attention import AttentionView, report_attention
from vitscope.report.explanation import report_explanation
from vitscope.report.maps import default_method
from vitscope.report.subjects import Subject

CLASSES = ("cat", "a_$dog%", "bird", "x" * 100, "true")
HALF = (0.5, 0.5, 0.5)


def classifier(network):
    return Classifier(
        network, classes=CLASSES, preprocessing=Preprocessing(size=(32, 32), channels=3, mean=HALF, std=HALF)
    ).eval()


@pytest.fixture(scope="module")
def vit():
    return classifier(timm_net("vit"))


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(2)]


@pytest.fixture
def subjects(pictures):
    return [
        Subject(f"folder/{number}.png", partial(Image.fromarray, picture), label=number)
        for number, picture in enumerate(pictures)
    ]


def inputs(pictures):
    """What the model takes: 0 … 255 to −1 … 1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def names(folder):
    return sorted(item.name for item in folder.iterdir())


def figure(stem):
    """Return what is written of a figure, beside what all figures of a folder share."""
    return [f"{stem}.{kind}" for kind in ("csv", "pdf", "png", "tex")]


@pytest.mark.slow
def test_one_method_is_a_figure_an_image(vit, subjects, pictures, tmp_path):
    report = report_explanation(vit, subjects, tmp_path / "out", methods=["rollout"])
    expected = [*figure("0_0"), *figure("1_1"), "captions.json", "drawings", "heatmaps.npz", "manifest.json"]
    assert names(tmp_path / "out") == sorted(expected)
    maps = Heatmap.load(tmp_path / "out" / "heatmaps.npz")
    assert maps.names == tuple(subject.name for subject in subjects)
    logits = vit(inputs(pictures)).detach().double()
    for number, row in enumerate(report.rows):
        alone = explain(vit, inputs(pictures)[number : number + 1], method="rollout").values[0]
        np.testing.assert_allclose(maps.values[number], alone, atol=1e-6)
        shares = np.exp(logits[number].numpy())
        assert row["predicted"] == CLASSES[int(shares.argmax())]
        assert row["confidence"] == pytest.approx(shares.max() / shares.sum(), rel=1e-4)
        assert row["explained"] == []
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["images"] == list(report.rows)
    assert manifest["heatmaps"] == {"rollout": "heatmaps.npz"}


@pytest.mark.slow
def test_several_methods_are_pages_and_a_file_each(vit, subjects, pictures, tmp_path):
    methods = ["rollout", "raw", "relevance"]
    report = report_explanation(vit, subjects, tmp_path / "out", methods=methods, targets=("true",))
    files = [f"heatmaps-{name}.npz" for name in methods]
    expected = [*files, *figure("maps-1"), "captions.json", "drawings", "manifest.json"]
    assert names(tmp_path / "out") == sorted(expected)
    assert [row["figure"] for row in report.rows] == ["maps-1.pdf"] * 2
    assert [row["explained"] for row in report.rows] == [[name] for name in CLASSES[:2]]
    for name in methods:
        found = Heatmap.load(tmp_path / "out" / report.heatmaps[name])
        expected = explain(vit, inputs(pictures), method=name, targets=torch.arange(2))
        np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
        assert found.options == expected.options
        assert (found.targets is None) == (name != "relevance")


@pytest.mark.slow
def test_several_classes_stand_image_by_image(vit, subjects, pictures, tmp_path):
    targets = (1, "predicted", 4)
    report = report_explanation(
        vit, subjects[:2], tmp_path / "out", methods=["gradient-rollout"], targets=targets
    )
    found = Heatmap.load(tmp_path / "out" / "heatmaps.npz")
    predicted = vit(inputs(pictures)).argmax(dim=1).tolist()
    expected = [1, predicted[0], 4, 1, predicted[1], 4]
    assert found.targets.tolist() == expected
    for row, target in enumerate(expected):
        image = inputs(pictures)[row // 3 : row // 3 + 1]
        alone = explain(vit, image, method="gradient-rollout", targets=torch.tensor([target]))
        np.testing.assert_allclose(found.values[row], alone.values[0], atol=1e-6)
    assert found.names[1] == f"folder/0.png, for {CLASSES[predicted[0]]}"
    assert report.rows[1]["explained"] == [CLASSES[target] for target in expected[3:]]


@pytest.mark.slow
def test_files_are_explained_upright(vit, pictures, tmp_path):
    """A picture stored on its side, with EXIF 6, has the map of the picture that viewers show."""
    upright = Image.fromarray(pictures[0])
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    upright.save(tmp_path / "upright.png")
    both = [Subject(name, partial(read_image, tmp_path / f"{name}.png")) for name in ("turned", "upright")]
    report_explanation(vit, both, tmp_path / "out", methods=["relevance", "raw"])
    turned, straight = Heatmap.load(tmp_path / "out" / "heatmaps-relevance.npz").values
    np.testing.assert_allclose(turned, straight, rtol=1e-5)


@pytest.mark.slow
def test_overlays_have_the_pixels_of_the_pictures(vit, tmp_path):
    """A wide picture, of which the model sees the square in the middle: what is beside it is paler."""
    wide = np.random.default_rng(5).integers(0, 256, (40, 100, 3), dtype=np.uint8)
    subject = Subject("wide.png", partial(Image.fromarray, wide))
    report = report_explanation(
        vit, [subject], tmp_path / "out", methods=["relevance"], targets=(0, 1), overlays=True
    )
    files = report.rows[0]["overlays"]
    assert files == ["overlays/wide-relevance-1.png", "overlays/wide-relevance-2.png"]
    maps = Heatmap.load(tmp_path / "out" / "heatmaps.npz").values
    for file, values in zip(files, maps, strict=True):
        shown = np.asarray(Image.open(tmp_path / "out" / file))
        expected = overlay(wide, values, box=(30, 0, 70, 40), scale=Scale.of(*maps))
        np.testing.assert_array_equal(shown, expected)
        np.testing.assert_allclose(shown[:, :30], 255 - 0.55 * (255 - wide[:, :30]), atol=1)


@pytest.mark.slow
def test_the_evidence_lies_in_the_folder(vit, subjects, tmp_path):
    report = report_explanation(vit, subjects[:2], tmp_path / "out", methods=["rollout"], evaluate=True)
    assert {row["method"] for row in report.faithfulness} == {"rollout", "random", "centre"}
    assert {"deletion", "insertion", "road", "infidelity"} <= set(report.faithfulness[0])
    assert report.notes[0].startswith("scores of 2 images say little")
    assert {"faithfulness.npz", "tables", "figures"} <= set(names(tmp_path / "out" / "faithfulness"))


def test_nothing_is_left_of_a_report_that_fails(vit, subjects, tmp_path):
    def broken():
        raise ImageError("cut")

    with pytest.raises(ImageError):
        report_explanation(vit, [*subjects, Subject("b", broken)], tmp_path / "out", methods=["rollout"])
    assert not list(tmp_path.iterdir())
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("")
    with pytest.raises(OutputError):
        report_explanation(vit, subjects, tmp_path / "taken", methods=["rollout"])


@pytest.mark.parametrize(
    ("methods", "targets", "evaluate", "said"),
    [
        ([], ("predicted",), False, "at least one"),
        (["rollout"], (), False, "at least one"),
        (["rolout"], ("predicted",), False, "rollout"),
        (["raw", "raw"], ("predicted",), False, "named twice"),
        (["rollout"], (1,), False, "explains none"),
        (["rollout", "relevance"], (1, 2), False, "rollout explains no class"),
        (["relevance"], (1, 2), True, "one target"),
    ],
)
def test_requests_that_make_no_sense(vit, subjects, tmp_path, methods, targets, evaluate, said):
    with pytest.raises(UsageError, match=said):
        report_explanation(
            vit, subjects, tmp_path / "out", methods=methods, targets=targets, evaluate=evaluate
        )


def test_true_classes_that_nobody_knows(vit, pictures, tmp_path):
    nameless = [Subject("a", partial(Image.fromarray, pictures[0]))]
    with pytest.raises(InputError, match="true class"):
        report_explanation(vit, nameless, tmp_path / "out", methods=["relevance"], targets=("true",))


def test_the_method_that_suits_a_model(vit, subjects, tmp_path):
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", num_classes=5)
    convolutions = classifier(network)
    before = {name: value.clone() for name, value in convolutions.state_dict().items()}
    assert default_method(vit) == "relevance"
    assert default_method(convolutions) == "grad-cam"
    assert all(torch.equal(before[name], value) for name, value in convolutions.state_dict().items())
    with pytest.raises(CaptureError) as refusal:
        report_explanation(convolutions, subjects, tmp_path / "out", methods=["grad-cam", "relevance"])
    assert "grad-cam" in refusal.value.hint.lower()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layers", "heads", "expected"),
    [
        ((), (), ([2], [0, 1, 2])),
        (((-2, -1), (0, 0)), ((0, 1),), ([1, 2, 0], [0, 1])),
    ],
)
def test_layers_and_heads_are_those_asked_for(vit, subjects, pictures, tmp_path, layers, heads, expected):
    view = AttentionView(method="raw", layers=layers, heads=heads)
    report_attention(vit, subjects[:2], tmp_path / "out", view=view)
    found = Heatmap.load(tmp_path / "out" / "heatmaps.npz")
    with torch.no_grad(), capture(vit) as tape:
        vit(inputs(pictures)[:2])
    weights = tape.attention().weights
    place = 0
    for image in range(2):
        for layer in expected[0]:
            for head in expected[1]:
                row = weights[layer][image, head, 0, 1:].reshape(8, 8)
                np.testing.assert_allclose(found.values[place], row, atol=1e-6)
                assert found.names[place] == f"folder/{image}.png, layer {layer}, head {head}"
                place += 1
    assert place == len(found)
    assert found.options["layers"] == expected[0]
    assert found.options["heads"] == expected[1]


def test_rollout_through_some_layers_by_hand(vit, subjects, pictures, tmp_path):
    report_attention(vit, subjects[:1], tmp_path / "out", view=AttentionView(layers=((1, 2),)))
    found = Heatmap.load(tmp_path / "out" / "heatmaps.npz")
    with torch.no_grad(), capture(vit) as tape:
        vit(inputs(pictures)[:1])
    product = torch.eye(65)
    for layer in (1, 2):
        fused = tape.attention().weights[layer][0].mean(dim=0) + torch.eye(65)
        product = (fused / fused.sum(dim=1, keepdim=True)) @ product
    np.testing.assert_allclose(found.values[0], product[0, 1:].reshape(8, 8), atol=1e-6)


@pytest.mark.slow
def test_an_animation_has_a_frame_a_layer_and_ends_with_the_rollout(vit, subjects, pictures, tmp_path):
    report = report_attention(vit, subjects[:1], tmp_path / "out", view=AttentionView(animate=True))
    expected = [*figure("0"), "0.gif", "captions.json", "drawings", "heatmaps.npz", "manifest.json"]
    assert names(tmp_path / "out") == sorted(expected)
    assert report.rows[0]["animation"] == "0.gif"
    with Image.open(tmp_path / "out" / "0.gif") as image:
        assert image.n_frames == 3
    whole = explain(vit, inputs(pictures)[:1], method="rollout").values
    np.testing.assert_allclose(Heatmap.load(tmp_path / "out" / "heatmaps.npz").values, whole, atol=1e-6)


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ({"method": "raw", "layers": ((3, 3),)}, "layer in 0 … 2"),
        ({"method": "raw", "layers": ((2, 1),)}, "count backwards"),
        ({"method": "raw", "heads": ((0, 9),)}, "head in 0 … 2"),
        ({"layers": ((0, 0), (2, 2))}, "without a gap"),
    ],
)
def test_layers_that_are_not_there(vit, subjects, tmp_path, view, said):
    with pytest.raises(UsageError, match=said):
        report_attention(vit, subjects, tmp_path / "out", view=AttentionView(**view))
    assert not list(tmp_path.iterdir())


def test_views_that_make_no_sense():
    for settings in ({"heads": ((0, 0),)}, {"method": "raw", "animate": True}, {"method": "flow"}):
        with pytest.raises(UsageError):
            AttentionView(**settings)
