"""Models of torchvision, with the preprocessing and the classes of their weights."""

from __future__ import annotations

import re
import warnings
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import InputError
from vitscope.inference.classifier import Classifier
from vitscope.inference.fitting import fit_weights, head_size, read_weights
from vitscope.inference.hub import download
from vitscope.inference.imagenet import name_classes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

__all__ = ["torchvision_classifier", "torchvision_preprocessing"]

# These two change their input's scale where torchvision loads weights of its own.
_SCALED = {"googlenet": {"transform_input": True, "init_weights": False}}
_SCALED["inception_v3"] = _SCALED["googlenet"]
# The names of layers in DenseNet's files, from when a layer's name could hold a dot.
_DOTTED = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$"
)


def torchvision_classifier(
    name: str,
    *,
    weights: Path | None = None,
    state: Mapping[str, Tensor] | None = None,
    classes: Sequence[str] | None = None,
) -> Classifier:
    """Build a classifier of torchvision with its weights.

    Which of a model's weights decides the preprocessing: those of the tag, else those whose file's name the
    given file has, else the default ones.

    Args:
        name: A model, with or without a tag: `resnet50`, `resnet50.IMAGENET1K_V1`.
        weights: A file of weights; the number of classes is read off its last layer.
        state: The weights themselves. Without both they come from torch's cache or from the network.
        classes: The class names.

    Raises:
        InputError: torchvision has no such classifier or no such weights.
        EnvironmentFault: The network cannot be reached.
        CheckpointError: The weights do not fit.
    """
    model, _, tag = name.partition(".")
    entry = _entry(model, tag, weights)
    if state is None:
        state = read_weights(weights if weights is not None else _from_network(entry))
    state = {_DOTTED.sub(r"\1\2", key): tensor for key, tensor in state.items()}
    network = _network(model, entry, state)
    fit_weights(network, state, name=model)
    count = head_size(state, _heads(network)) or len(entry.meta["categories"])
    known = entry.meta["categories"] if count == len(entry.meta["categories"]) else None
    named = name_classes(count, classes if classes is not None else known)
    classifier = Classifier(
        network,
        classes=named.names,
        aliases=named.aliases,
        preprocessing=torchvision_preprocessing(entry),
        name=model,
    )
    classifier.architecture = f"torchvision:{model}.{entry.name}"
    return classifier


def _entry(model: str, tag: str, weights: Path | None) -> Any:  # noqa: ANN401 - torchvision has no types
    from torchvision import models

    known = models.list_models(module=models)
    if model not in known:
        near = get_close_matches(model, known, n=1)
        hint = f"did you mean torchvision:{near[0]}?" if near else "see torchvision.models.list_models()"
        raise InputError(f"torchvision has no classifier {model!r}", hint=hint)
    entries = models.get_model_weights(model)
    if tag:
        if tag not in entries.__members__:
            raise InputError(
                f"torchvision has no weights {tag!r} of {model}",
                hint=f"there are {', '.join(entries.__members__)}",
            )
        return entries[tag]
    same = [entry for entry in entries if weights is not None and entry.url.endswith(f"/{weights.name}")]
    return same[0] if same else entries.DEFAULT


def _from_network(entry: Any) -> Path:  # noqa: ANN401 - torchvision has no types
    return download(entry.url, Path(torch.hub.get_dir()) / "checkpoints")


def _network(model: str, entry: Any, state: Mapping[str, Tensor]) -> nn.Module:  # noqa: ANN401
    from torchvision import models

    options = dict(_SCALED.get(model, {}))
    if model.startswith("vit_"):
        options["image_size"] = entry.transforms().crop_size[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old ways to draw first weights, which are replaced
        network: nn.Module = models.get_model(model, weights=None, **options)
        count = head_size(state, _heads(network))
        if count is not None and count != len(entry.meta["categories"]):
            network = models.get_model(model, weights=None, num_classes=count, **options)
    return network


def _heads(network: nn.Module) -> list[str]:
    """Return the names of the layers that could give the logits, the likeliest first."""
    kinds = (nn.Linear, nn.Conv2d)
    names = [name for name, module in network.named_modules() if isinstance(module, kinds)]
    return names[::-1][:1]


def torchvision_preprocessing(entry: Any) -> Preprocessing:  # noqa: ANN401 - torchvision has no types
    """Return the preprocessing of the transforms that come with some of torchvision's weights."""
    preset = entry.transforms()
    crop, resize = preset.crop_size, preset.resize_size
    return Preprocessing(
        size=(crop[0], crop[-1]),
        channels=len(preset.mean),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
        resize=resize[0] if len(resize) == 1 else tuple(resize),
    )
