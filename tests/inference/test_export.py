"""Exports: what is refused, what is left, and how near is near enough."""

from __future__ import annotations

import sys

import pytest
import torch

from vitscope.checkpoint.digest import digest_tensors
from vitscope.errors import (
    EnvironmentFault,
    InputError,
    OutputError,
    UsageError,
)
from vitscope.inference.classifier import load
from vitscope.inference.equivalence import check_logits, probe_logits, probe_pixels
from vitscope.inference.export import check_export, export_model


@pytest.fixture(scope="module")
def trained(tiny_run):
    return load(tiny_run / "best.pth")


def test_a_file_that_gives_other_logits_is_not_left(trained, tmp_path, monkeypatch):
    """The file is written right, and the network's weights are changed before it is compared."""
    from vitscope.inference import tensor_export

    def changed(path):
        again = load_as_before(path)
        with torch.no_grad():
            again.network.head.bias.add_(0.5)
        return again

    load_as_before = tensor_export.open_tensor_file
    monkeypatch.setattr(tensor_export, "open_tensor_file", changed)
    with pytest.raises(InputError, match=r"gives other logits than the model: they differ by 0\.5"):
        export_model(trained, tmp_path / "w.safetensors", "safetensors")
    assert not list(tmp_path.iterdir())


def test_the_tolerance_is_of_the_largest_logit():
    one = torch.tensor([[0.0, 100.0], [1.0, 2.0]])
    assert check_logits(one, one + 0.9e-3, tolerance=1e-5, what="it") == pytest.approx(0.9e-3, rel=0.1)
    with pytest.raises(InputError, match=r"differ by 0\.0011, where 0\.001 is allowed"):
        check_logits(one, one + 1.1e-3, tolerance=1e-5, what="it")
    small = torch.zeros(1, 2)
    with pytest.raises(InputError, match="1e-05 is allowed"):
        check_logits(small, small + 2e-5, tolerance=1e-5, what="it")
    for wrong in (torch.full((2, 2), torch.nan), torch.zeros(2, 3)):
        with pytest.raises(InputError, match="it gives"):
            check_logits(one, wrong, tolerance=1e-5, what="it")


def test_the_probes(trained):
    pixels = probe_pixels(trained)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (5, 1, 8, 8)
    assert torch.equal(pixels, probe_pixels(trained))
    assert {int(pixels.min()), int(pixels.max())} == {0, 255}
    trained.train()
    try:
        probe_logits(trained, pixels)
        assert trained.training
    finally:
        trained.eval()


def test_nothing_is_left_changed(trained, tmp_path):
    before, seed = digest_tensors(trained.network.state_dict()), torch.get_rng_state()
    export_model(trained, tmp_path / "w.safetensors", "safetensors", half=True)
    export_model(trained, tmp_path / "m", "timm")
    assert digest_tensors(trained.network.state_dict()) == before
    assert torch.equal(torch.get_rng_state(), seed)
    assert all(parameter.requires_grad for parameter in trained.parameters())


@pytest.mark.parametrize(
    ("path", "kind", "options", "error"),
    [
        ("w.pth", "safetensors", {}, UsageError),
        ("w.safetensors", "onnx", {}, UsageError),
        ("w.safetensors", "keras", {}, UsageError),
        ("w.onnx", "onnx", {"half": True}, UsageError),
        ("w.safetensors", "safetensors", {"pixels": True}, UsageError),
        ("here.safetensors", "safetensors", {}, OutputError),
        ("folder.safetensors", "safetensors", {"overwrite": True}, OutputError),
        ("folder.safetensors", "timm", {}, OutputError),
        ("folder.safetensors", "timm", {"overwrite": True}, OutputError),
    ],
    ids=str,
)
def test_refused_before_any_work(path, kind, options, error, tmp_path):
    (tmp_path / "here.safetensors").write_text("mine")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "folder.safetensors" / "mine").write_text("mine")
    with pytest.raises(error):
        check_export(tmp_path / path, kind, **options)


def test_what_is_there_is_replaced_only_when_asked(trained, tmp_path):
    for path, kind in ((tmp_path / "w.safetensors", "safetensors"), (tmp_path / "m", "timm")):
        export_model(trained, path, kind)
        with pytest.raises(OutputError):
            export_model(trained, path, kind)
        export_model(trained, path, kind, overwrite=True)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_without_the_packages_of_onnx(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EnvironmentFault, match=f"need {package}, not installed") as caught:
        check_export(tmp_path / "m.onnx", "onnx")
    assert caught.value.hint == "pip install 'vitscope[onnx]'"
