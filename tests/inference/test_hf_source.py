"""Classifiers of Hugging Face: the library's own logits and pixels, and what is refused."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from tests.oracles.foreign import hugging_face, picture, plain, written
from vitscope.errors import CheckpointError, EnvironmentFault, InputError, NotFiniteError
from vitscope.inference.hf_source import hf_classifier
from vitscope.inference.prediction import predict
from vitscope.inference.sources import open_classifier

transformers = pytest.importorskip("transformers")
IMAGES = [picture(301, 204), picture(170, 260, seed=1), picture(40, 41, seed=2)]
# Names of processors and what they are told; the side of the model's input comes first.
PROCESSORS = {
    "squash": (32, "ViTImageProcessor", {"size": {"height": 32, "width": 32}}),
    "bicubic": (32, "ViTImageProcessor", {"size": {"height": 32, "width": 32}, "resample": 3}),
    "lanczos": (32, "ViTImageProcessor", {"size": {"height": 32, "width": 32}, "resample": 1}),
    "pillow": (32, "ViTImageProcessorPil", {"size": {"height": 32, "width": 32}}),
    "unscaled": (32, "ViTImageProcessor", {"size": {"height": 32, "width": 32}, "do_normalize": False}),
    "deit": (
        32,
        "DeiTImageProcessor",
        {"size": {"height": 40, "width": 40}, "crop_size": {"height": 32, "width": 32}},
    ),
    "convnext": (32, "ConvNextImageProcessor", {"size": {"shortest_edge": 32}, "crop_pct": 0.875}),
    "convnext squash": (384, "ConvNextImageProcessor", {"size": {"shortest_edge": 384}}),
    "bit": (
        32,
        "BitImageProcessor",
        {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}},
    ),
    "clip": (
        32,
        "CLIPImageProcessor",
        {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}},
    ),
    "levit": (
        32,
        "LevitImageProcessor",
        {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}},
    ),
}


def processor_for(key):
    _, name, options = PROCESSORS[key]
    return getattr(transformers, name)(**options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("hf") / "model"
    hugging_face(path)
    return path


@pytest.fixture
def changed(folder, tmp_path):
    """Copy the folder with keys of a JSON file changed; None takes the file away."""

    def make(file, **changes):
        for item in folder.iterdir():
            (tmp_path / item.name).write_bytes(item.read_bytes())
        if not changes:
            (tmp_path / file).unlink()
        else:
            content = json.loads((tmp_path / file).read_text())
            (tmp_path / file).write_text(json.dumps(content | changes))
        return tmp_path

    return make


@pytest.mark.slow
@pytest.mark.parametrize("key", PROCESSORS)
def test_logits_are_those_of_the_librarys_own_pipeline(key, tmp_path):
    """Pixels differ by a rounding in each of two passes: the library has torchvision's, we have Pillow's."""
    side = PROCESSORS[key][0]
    theirs, processor = hugging_face(tmp_path, side=side, processor=processor_for(key))
    model = open_classifier(f"hf:{tmp_path}")
    assert model.preprocessing.size == (side, side)
    wanted = torch.cat([processor(images=image, return_tensors="pt")["pixel_values"] for image in IMAGES])
    ours = model.prepare(IMAGES)
    std = torch.tensor(model.preprocessing.std)[:, None, None]
    levels = (ours - wanted).abs() * std * 255
    assert levels.max() < 2.01
    assert levels.mean() < 0.1
    with torch.no_grad():
        torch.testing.assert_close(model(wanted), theirs(pixel_values=wanted).logits, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(model(ours), theirs(pixel_values=wanted).logits, atol=5e-3, rtol=1e-2)
    assert model.classes == ("cat", "dog", "eel")


def test_a_picture_of_the_right_size_has_the_librarys_logits_exactly(folder):
    model, image = open_classifier(f"hf:{folder}"), picture(32, 32)
    theirs = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        expected = theirs(**processor(images=image, return_tensors="pt")).logits
        torch.testing.assert_close(model(model.prepare([image])), expected, atol=1e-5, rtol=1e-5)


def test_a_folder_its_weights_and_its_name_are_one_model(folder, capfd):
    models = [
        open_classifier(source)
        for source in (f"hf:{folder}", folder, str(folder), folder / "model.safetensors")
    ]
    models.append(open_classifier("hf:someone/model", weights=folder / "model.safetensors"))
    assert len({model.digest for model in models}) == 1
    assert models[0].source == f"hf:{folder}"
    assert not any(module.training for module in models[0].modules())
    assert capfd.readouterr() == ("", "")


def test_weights_in_other_files(folder, tmp_path):
    theirs, _ = hugging_face(folder)
    path = written(plain(theirs), tmp_path / "own.pth")
    assert open_classifier(f"hf:{folder}", weights=path).digest == open_classifier(folder).digest
    less = {key: value for key, value in plain(theirs).items() if key != "classifier.bias"}
    with pytest.raises(CheckpointError, match=r"classifier\.bias"):
        open_classifier(f"hf:{folder}", weights=written(less, path))


def test_weights_that_are_not_all_there_are_not_drawn(changed):
    """transformers itself draws them anew, and warns."""
    folder = changed("preprocessor_config.json", size={"height": 32, "width": 32})
    from safetensors.torch import load_file

    state = load_file(folder / "model.safetensors")
    del state["classifier.weight"]
    written(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lack or have in another shape 1, first `classifier\.weight`"):
        open_classifier(folder)
    state["classifier.weight"] = torch.zeros(4, 32)
    written(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises((CheckpointError, InputError), match=r"classifier\.weight|mismatch"):
        open_classifier(folder)
    state["classifier.weight"] = torch.full((3, 32), torch.nan)
    written(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(NotFiniteError):
        open_classifier(folder)
    state["classifier.weight"] = torch.zeros(3, 32)
    state["classifier.more"] = torch.zeros(3)
    written(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"beyond the model 1, first `classifier\.more`"):
        open_classifier(folder)


def test_labels_without_names_are_numbers(changed):
    names = {str(index): f"LABEL_{index}" for index in range(3)}
    folder = changed("config.json", id2label=names, label2id={v: int(k) for k, v in names.items()})
    assert open_classifier(folder).classes == ("0", "1", "2")
    assert open_classifier(folder, classes=["x", "y", "z"]).classes == ("x", "y", "z")


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("preprocessor_config.json", {}, "does not say how it prepares images"),
        ("preprocessor_config.json", {"rescale_factor": 0.01}, "does what is not done here"),
        ("preprocessor_config.json", {"do_resize": False}, "does what is not done here"),
        ("model.safetensors", {}, "cannot be used as an image classifier"),
        ("config.json", {"model_type": "bert", "architectures": ["BertModel"]}, "cannot be used"),
        ("config.json", {"model_type": "nothing"}, "cannot be used"),
        ("config.json", {"hidden_size": "many"}, "cannot be used"),
        (
            "config.json",
            {"model_type": "mine", "auto_map": {"AutoModelForImageClassification": "code.Mine"}},
            "cannot be used",
        ),
    ],
    ids=str,
)
def test_folders_that_cannot_be_used(changed, file, changes, message):
    folder = changed(file, **changes)
    (folder / "code.py").write_text(f"open({str(folder / 'canary')!r}, 'w')")
    with pytest.raises(InputError, match=message) as caught:
        open_classifier(f"hf:{folder}")
    assert "\n" not in str(caught.value)
    assert not (folder / "canary").exists()


def test_a_pickle_in_a_folder_is_not_opened(changed):
    folder = changed("model.safetensors")
    canary = folder / "canary"

    class Bomb:
        def __reduce__(self):
            return (open, (str(canary), "w"))

    import pickle

    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"w": Bomb()}))
    with pytest.raises(InputError):
        open_classifier(f"hf:{folder}")
    assert not canary.exists()


def test_colours_in_another_order_are_refused(tmp_path):
    processor = transformers.MobileViTImageProcessor(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, do_flip_channel_order=True
    )
    hugging_face(tmp_path, processor=processor)
    with pytest.raises(InputError, match="MobileViTImageProcessor"):
        open_classifier(f"hf:{tmp_path}")


def test_without_transformers(monkeypatch, folder):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(EnvironmentFault, match="need the package transformers") as caught:
        hf_classifier(str(folder))
    assert "vitscope[hf]" in caught.value.hint


def test_predictions_and_features(folder):
    from vitscope.data.imageset import ImageSet

    array = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
    labels = np.array([0, 1, 0, 1, 1])
    data = ImageSet("made", "test", ("Eel", "cat"), labels, tuple("01234"), array=array)
    model = open_classifier(folder)
    predictions = predict(model, data, features=True)
    assert predictions.labels.tolist() == [2, 0, 2, 0, 0]
    assert predictions.features.shape == (5, 32)
    head = model.network.model.classifier
    with torch.no_grad():
        again = head(torch.from_numpy(predictions.features)).numpy()
    np.testing.assert_allclose(again, predictions.logits, atol=1e-5)
