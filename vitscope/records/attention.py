"""Attention: what every layer of a model attended to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitscope.errors import InputError
from vitscope.paths import MANIFEST, staged_folder, write_json
from vitscope.records.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["Attention", "Fusion", "Pool", "choose_numbers", "fuse_heads"]

Fusion = Literal["mean", "max", "min"]
Pool = Literal["cls", "mean"]

FORMAT = "vitscope.attention"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Attention:
    """The self-attention of a chain of layers over the same tokens.

    Attributes:
        weights: One tensor a layer, from input to output: `[image, head, query, key]` after softmax. Rows sum
            to 1, except where heads were fused by maximum or minimum.
        grid: Rows and columns of the patch tokens.
        prefix: How many tokens stand before the patches: class and register tokens.
        layers: The layers' module names, in the order of `weights`.
        pool: `cls` where the head reads the first prefix token, `mean` where it averages the patches.
        logits: The model's output, `[image, class]`, where it was a tensor.
        heads: How the heads were fused to one; None where each head is kept.
        provenance: Where it comes from.

    Raises:
        InputError: The shapes do not fit together.
    """

    weights: list[Tensor]
    grid: tuple[int, int]
    prefix: int
    layers: tuple[str, ...]
    pool: Pool = "cls"
    logits: Tensor | None = None
    heads: Fusion | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        _check_options(self)
        _check_shapes(self)

    def __len__(self) -> int:
        return len(self.weights[0])

    @property
    def tokens(self) -> int:
        """How many tokens there are: the prefix and the patches."""
        return self.prefix + self.grid[0] * self.grid[1]

    def select(self, *, layers: Sequence[int] | None = None, heads: Sequence[int] | None = None) -> Attention:
        """Return the record of some layers and some heads alone; what is left out of None is all of them.

        Layers keep their names and are numbered anew, and so are heads. A record without a layer in between
        is no chain any more: look at its layers one by one, but do not roll it out.

        Args:
            layers: Their numbers in rising order, from 0 at the input; negative from the end.
            heads: Their numbers in rising order, from 0, the same in every layer; negative from the last.

        Raises:
            InputError: There is no such layer or head, one is named twice or out of order, none is named, or
                heads were fused in capturing.
        """
        if heads is not None and self.heads is not None:
            raise InputError(
                f"the heads were fused by {self.heads} in capturing, so that none can be chosen",
                hint="capture with heads=None",
            )
        numbers = range(len(self.weights))
        chosen = numbers if layers is None else choose_numbers(layers, len(numbers), what="layer")
        weights = [self.weights[number] for number in chosen]
        if heads is not None:
            weights = [weight[:, choose_numbers(heads, weight.shape[1], what="head")] for weight in weights]
        return replace(self, weights=weights, layers=tuple(self.layers[number] for number in chosen))

    def save(self, folder: Path | str, *, overwrite: bool = False) -> Path:
        """Write the folder: `layer_00.npy`…, one file a layer, `logits.npy`, and `manifest.json` last.

        Gradients and the device are not kept; bfloat16 is widened to float32, which NumPy can hold.

        Raises:
            OutputError: The folder exists and `overwrite` is off.
        """
        import numpy as np

        folder = Path(folder)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "n": len(self),
            "grid": list(self.grid),
            "prefix": self.prefix,
            "layers": list(self.layers),
            "pool": self.pool,
            "heads": self.heads,
            "provenance": self.provenance.to_dict(),
        }
        with staged_folder(folder, overwrite=overwrite) as stage:
            for number, weight in enumerate(self.weights):
                np.save(stage / f"layer_{number:02d}.npy", _array(weight))
            if self.logits is not None:
                np.save(stage / "logits.npy", _array(self.logits))
            write_json(stage / MANIFEST, manifest)
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> Attention:
        """Open what `save` wrote; the weights stay on disk, memory-mapped; writing to them changes no file.

        Raises:
            InputError: The folder is not a whole attention folder of a version known here.
        """
        folder = Path(folder)
        manifest = _read_manifest(folder)
        try:
            layers = tuple(str(name) for name in manifest["layers"])
            rows, columns = (int(side) for side in manifest["grid"])
            logits = folder / "logits.npy"
            return cls(
                weights=[_tensor(folder / f"layer_{number:02d}.npy") for number in range(len(layers))],
                grid=(rows, columns),
                prefix=int(manifest["prefix"]),
                layers=layers,
                pool=manifest["pool"],
                logits=_tensor(logits) if logits.exists() else None,
                heads=manifest["heads"],
                provenance=Provenance.from_dict(manifest["provenance"]),
            )
        except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
            raise InputError(f"{folder} is not a whole attention folder: {error}") from error


def fuse_heads(weights: Tensor, how: Fusion) -> Tensor:
    """Fuse the heads of `[image, head, query, key]` to one: `[image, 1, query, key]`; one head is itself.

    Raises:
        InputError: `how` is not `mean`, `max` or `min`.
    """
    if how not in ("mean", "max", "min"):
        raise InputError(f"expected heads fused by `mean`, `max` or `min`, got {how!r}")
    if weights.shape[1] == 1:
        return weights
    if how == "mean":
        return weights.mean(dim=1, keepdim=True)
    return weights.amax(dim=1, keepdim=True) if how == "max" else weights.amin(dim=1, keepdim=True)


def choose_numbers(asked: Sequence[int], count: int, *, what: str) -> list[int]:
    """Return the numbers that were asked for, of `count` things that are numbered from 0, each from 0 on.

    Args:
        asked: Numbers in rising order; negative from the end.
        count: How many there are.
        what: What they are, for the message.

    Raises:
        InputError: A number is out of range, named twice or out of order, or there is none.
    """
    wrong = [number for number in asked if not -count <= number < count]
    if wrong:
        raise InputError(f"expected a {what} in 0 … {count - 1} or -{count} … -1, got {wrong[0]}")
    numbers = [number % count for number in asked]
    if not numbers or numbers != sorted(set(numbers)):
        raise InputError(f"expected at least one {what}, each once, in rising order, got {list(asked)}")
    return numbers


def _check_options(record: Attention) -> None:
    if not record.weights:
        raise InputError("expected attention of at least one layer, got none")
    if len(record.layers) != len(record.weights):
        raise InputError(f"expected {len(record.weights)} layer names, got {len(record.layers)}")
    if min(record.grid) < 1 or record.prefix < 0:
        raise InputError(
            f"expected a grid of patches after a prefix, got {record.grid} after {record.prefix}"
        )
    if record.pool not in ("cls", "mean"):
        raise InputError(f"expected pool `cls` or `mean`, got {record.pool!r}")
    if record.pool == "cls" and record.prefix == 0:
        raise InputError("a model without prefix tokens has no class token: pool must be `mean`")
    if record.heads not in (None, "mean", "max", "min"):
        raise InputError(f"expected heads fused by `mean`, `max` or `min`, or None, got {record.heads!r}")


def _check_shapes(record: Attention) -> None:
    images, tokens = len(record.weights[0]), record.tokens
    for name, weight in zip(record.layers, record.weights, strict=True):
        shape = tuple(weight.shape)
        if len(shape) != 4 or shape[0] != images or shape[2:] != (tokens, tokens) or shape[1] < 1:
            expected = f"[{images}, head, {tokens}, {tokens}]"
            raise InputError(f"expected the attention of {name} as {expected}, got {list(shape)}")
        if record.heads is not None and shape[1] != 1:
            raise InputError(f"expected one head fused by {record.heads} in {name}, got {shape[1]}")
    if record.logits is not None and len(record.logits) != images:
        raise InputError(f"expected logits of {images} images, got {len(record.logits)}")


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is not an attention folder: no readable {MANIFEST}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{folder} is not an attention folder: its {MANIFEST} says otherwise")
    if manifest.get("version") != VERSION:
        raise InputError(f"{folder} has version {manifest.get('version')}, this vitscope reads {VERSION}")
    return manifest


def _array(tensor: Tensor) -> NDArray[np.floating]:
    import torch

    plain = tensor.detach().cpu()
    array: NDArray[np.floating] = (plain.float() if plain.dtype is torch.bfloat16 else plain).numpy()
    return array


def _tensor(path: Path) -> Tensor:
    import numpy as np
    import torch

    # Copy-on-write: torch warns of arrays that cannot be written to.
    return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
