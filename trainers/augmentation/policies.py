"""The policies that draw an image's operations and their strengths.

*Source*: Cubuk et al. 2018, arXiv 1805.09501 (AutoAugment, the policies found on CIFAR-10: table 7); Cubuk et
al. 2019, arXiv 1909.13719 (RandAugment); Müller & Hutter 2021, arXiv 2103.10158 (TrivialAugment, its wide
strengths). Operations, strengths and signs are those of torchvision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import torch

from vitscope.trainers.augmentation.operations import NAMES, Turn, perform

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Policy"]

_BINS, _AUTO_BINS = 31, 10
_DRAWS = 3  # which operation, how strong or whether at all, and the sign
_FOUND = """
    Invert .1 -, Contrast .2 6      | Rotate .7 2, TranslateX .3 9    | Sharpness .8 1, Sharpness .9 3
    ShearY .5 8, TranslateY .7 9    | AutoContrast .5 -, Equalize .9 - | ShearY .2 7, Posterize .3 7
    Color .4 3, Brightness .6 7     | Sharpness .3 9, Brightness .7 9 | Equalize .6 -, Equalize .5 -
    Contrast .6 7, Sharpness .6 5   | Color .7 7, TranslateX .5 8     | Equalize .3 -, AutoContrast .4 -
    TranslateY .4 3, Sharpness .2 6 | Brightness .9 6, Color .2 8     | Solarize .5 2, Invert .0 -
    Equalize .2 -, AutoContrast .6 - | Equalize .2 -, Equalize .6 -   | Color .9 9, Equalize .6 -
    AutoContrast .8 -, Solarize .2 8 | Brightness .1 3, Color .7 0    | Solarize .4 5, AutoContrast .9 -
    TranslateY .9 9, TranslateY .7 9 | AutoContrast .9 -, Solarize .8 3 | Equalize .8 -, Invert .1 -
    TranslateY .7 9, AutoContrast .9 -
"""


@dataclass(frozen=True)
class Policy:
    """How operations are drawn.

    Attributes:
        name: `randaugment`: any operation but Invert, `operations` times, of strength `magnitude` of 0…30;
            `trivialaugment`: one, of any strength; `autoaugment`: one of 25 pairs, each of whose two
            operations is done with its own probability, the strength given.
        operations: How many operations RandAugment does.
        magnitude: Their strength.
    """

    name: Literal["none", "randaugment", "trivialaugment", "autoaugment"] = "none"
    operations: int = 2
    magnitude: int = 9

    @property
    def turns(self) -> int:
        """How many operations an image goes through."""
        turns = {"none": 0, "randaugment": self.operations, "trivialaugment": 1, "autoaugment": 2}
        return turns[self.name]

    @property
    def draws(self) -> int:
        """How many draws an image takes."""
        return _DRAWS * self.turns

    def apply(self, pixels: Tensor, draws: Tensor) -> Tensor:
        """Do to each image of a uint8 batch what is drawn for it; `draws` as of `choose`."""
        return perform(pixels, self.choose(draws, *pixels.shape[2:]))

    def choose(self, draws: Tensor, height: int, width: int) -> list[Turn]:
        """Return each turn's operation and strength, signed.

        Args:
            draws: `[image, draws]`, uniform in 0…1, on the CPU.
            height: The images' rows.
            width: The images' columns.
        """
        turns = draws.double().reshape(-1, self.turns, _DRAWS).unbind(1)
        if self.name == "autoaugment":
            pair = (turns[0][:, 0] * len(_pairs()[0])).long()
            return [self._found(turn, draw, pair, (height, width)) for turn, draw in enumerate(turns)]
        return [self._drawn(draw, (height, width)) for draw in turns]

    def _drawn(self, draw: Tensor, size: tuple[int, int]) -> Turn:
        wide = self.name == "trivialaugment"
        operation = (draw[:, 0] * NAMES.index("Invert")).long()
        level = (draw[:, 1] * _BINS).long() if wide else torch.full_like(operation, self.magnitude)
        strengths, signed = _strengths(_BINS, *size, wide=wide)
        return _turn(operation, strengths[operation, level], signed[operation] & (draw[:, 2] < 0.5))

    def _found(self, turn: int, draw: Tensor, pair: Tensor, size: tuple[int, int]) -> Turn:
        operations, chances, levels = _pairs()
        operation = torch.where(draw[:, 1] < chances[pair, turn], operations[pair, turn], 0)
        strengths, signed = _strengths(_AUTO_BINS, *size, wide=False)
        strength = strengths[operation, levels[pair, turn]]
        return _turn(operation, strength, signed[operation] & (draw[:, 2] < 0.5))


def _turn(operation: Tensor, strength: Tensor, opposite: Tensor) -> Turn:
    return Turn(operation, torch.where(opposite, -strength, strength))


@lru_cache(maxsize=16)
def _strengths(bins: int, height: int, width: int, *, wide: bool) -> tuple[Tensor, Tensor]:
    """Return the strengths, float64 `[operation, bin]`, and which operations take either sign."""
    most = 0.99 if wide else 0.9
    shear, turn, lost = (0.99, 135.0, 6) if wide else (0.3, 30.0, 4)
    across, down = (32.0, 32.0) if wide else (150 / 331 * width, 150 / 331 * height)
    either_way = {
        **dict.fromkeys(("ShearX", "ShearY"), shear),
        "TranslateX": across,
        "TranslateY": down,
        "Rotate": turn,
        **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), most),
    }
    # In float32, as torchvision, so that whole numbers of pixels come out the same.
    rows = {name: torch.linspace(0, value, bins) for name, value in either_way.items()}
    rows["Posterize"] = (8 - torch.arange(bins) / ((bins - 1) / lost)).round()
    rows["Solarize"] = torch.linspace(1, 0, bins)
    table = torch.stack([rows.get(name, torch.zeros(bins)) for name in NAMES])
    return table.double(), torch.tensor([name in either_way for name in NAMES])


@lru_cache(maxsize=1)
def _pairs() -> tuple[Tensor, Tensor, Tensor]:
    """Return AutoAugment's operations, their probabilities and strengths: `[pair, 2]` each."""
    lines = " | ".join(line.strip() for line in _FOUND.strip().splitlines())
    halves = [half.split() for pair in lines.split("|") for half in pair.split(",")]
    operations = torch.tensor([NAMES.index(name) for name, _, _ in halves])
    chances = torch.tensor([float(chance) for _, chance, _ in halves], dtype=torch.float64)
    levels = torch.tensor([0 if level == "-" else int(level) for _, _, level in halves])
    return operations.view(-1, 2), chances.view(-1, 2), levels.view(-1, 2)
