"""A classifier as an ONNX file, checked by ONNX Runtime against the model itself."""

from __future__ import annotations

import json
import logging
import warnings
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vitscope.errors import EnvironmentFault, InputError
from vitscope.inference.equivalence import SAME_RUNTIME, check_logits, probe_logits, probe_pixels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vitscope.inference.classifier import Classifier

__all__ = ["OPSET", "check_onnx", "export_onnx"]

OPSET = 18
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_LARGEST = 2 << 30  # bytes of one file of protobuf
_OUTPUT = "logits"


class _FromPixels(nn.Module):
    """A network together with the scaling of its input: uint8 pixels to logits."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        form = model.preprocessing
        self.network = model.network
        self.register_buffer("mean", torch.tensor(form.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(form.std)[:, None, None], persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network((pixels.to(torch.float32) / 255 - self.mean) / self.std)
        return logits


def check_onnx() -> None:
    """Refuse to begin where a package is missing that writes or checks ONNX files.

    Raises:
        EnvironmentFault: It names those that are missing.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise EnvironmentFault(
            f"ONNX files need {' and '.join(missing)}, not installed here",
            hint="pip install 'vitscope[onnx]'",
        )


def export_onnx(model: Classifier, path: Path, *, pixels: bool = False) -> dict[str, Any]:
    """Write a model as ONNX for any number of images, and compare its logits by ONNX Runtime.

    The input is `images`, float32 `[batch, channel, row, column]`, scaled as the metadata's `preprocessing`
    says; or, with `pixels`, `pixels`, uint8 of the same shape, scaled inside. The output is `logits`,
    float32 `[batch, class]`. Metadata, each a JSON text: `classes`, `preprocessing`, `model`, `digest`.

    Args:
        model: On the CPU.
        path: The file.
        pixels: Let the file take uint8 pixels.

    Returns:
        `opset`, `input`, `output`, and `largest_difference` of the logits.

    Raises:
        InputError: The model has what ONNX cannot express, or its file gives other logits.
        EnvironmentFault: A package is missing, or the file cannot be written.
    """
    check_onnx()
    probe = probe_pixels(model)
    given = probe if pixels else model.prepare(probe)
    name = "pixels" if pixels else "images"
    content = _content(_FromPixels(model) if pixels else model.network, given, name, _metadata(model, pixels))
    expected = probe_logits(model, probe)
    difference = check_logits(
        expected, _by_runtime(content, name, given), tolerance=SAME_RUNTIME, what="the ONNX file"
    )
    path.write_bytes(content)
    return {
        "opset": OPSET,
        "input": {
            "name": name,
            "type": "uint8" if pixels else "float32",
            "shape": ["batch", *given.shape[1:]],
        },
        "output": {"name": _OUTPUT, "type": "float32", "shape": ["batch", expected.shape[1]]},
        "largest_difference": difference,
    }


def _metadata(model: Classifier, pixels: bool) -> dict[str, Any]:
    return {
        "classes": list(model.classes),
        "preprocessing": model.preprocessing.to_dict() | {"scaled_inside": pixels},
        "model": model.architecture or model.name,
        "digest": model.digest,
    }


def _content(network: nn.Module, given: Tensor, name: str, metadata: dict[str, Any]) -> bytes:
    """Return the file's bytes."""
    training = network.training
    network.eval()
    try:
        with _silence():
            program: Any = torch.onnx.export(
                network,
                (given[:2],),  # torch takes a batch of one for a constant
                dynamo=True,
                opset_version=OPSET,
                input_names=[name],
                output_names=[_OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=False,
                verbose=False,
            )
            proto = program.model_proto
            _forget_origin(proto.graph)
            for key, value in metadata.items():
                proto.metadata_props.add(key=key, value=json.dumps(value))
    except Exception as error:  # of torch's and of its exporter's, without a common base
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"the model cannot be expressed in ONNX: {reason}") from error
    finally:
        network.train(training)
    if proto.ByteSize() >= _LARGEST:
        raise InputError("its ONNX file would be larger than the 2 GiB that one file may have")
    content: bytes = proto.SerializeToString()
    return content


def _forget_origin(graph: Any) -> None:  # noqa: ANN401 - a message of protobuf
    """Take out what the exporter noted of each node: lines of code, with the folders of this machine."""
    del graph.metadata_props[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
    for inner in (
        attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")
    ):
        _forget_origin(inner)


def _by_runtime(content: bytes, name: str, given: Tensor) -> Tensor:
    """Return the logits of images by ONNX Runtime: the first by itself, the others together."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    parts = [session.run([_OUTPUT], {name: part.numpy()})[0] for part in (given[:1], given[1:])]
    return torch.cat([torch.from_numpy(part) for part in parts])


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what the exporter tells of its own workings off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
