"""The names of the corruptions, their families, and which of them count."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from vitscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "CORRUPTIONS",
    "EXTRA",
    "FAMILIES",
    "GENERATOR",
    "MAIN",
    "SEVERITIES",
    "Corruption",
    "CorruptionPlan",
    "check_corruption",
    "choose_kinds",
]

GENERATOR = "vitscope-corruptions-1"
"""Names the code that makes the images; it changes whenever the images do."""

SEVERITIES = (1, 2, 3, 4, 5)

Family = Literal["noise", "blur", "weather", "digital", "extra"]
FAMILIES: tuple[Family, ...] = ("noise", "blur", "weather", "digital", "extra")

_KINDS: dict[Family, tuple[str, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    "extra": ("speckle_noise", "gaussian_blur", "spatter", "saturate"),
}


class Corruption(NamedTuple):
    """One kind of corruption.

    Attributes:
        kind: Its name, as in the published files.
        family: What it is like; `extra` for the four that the mean corruption error leaves out.
    """

    kind: str
    family: Family

    @property
    def title(self) -> str:
        """The name as a reader's eye wants it: `JPEG compression`."""
        return self.kind.replace("_", " ").replace("jpeg", "JPEG").replace("gaussian", "Gaussian")


CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {kind: Corruption(kind, family) for family, kinds in _KINDS.items() for kind in kinds}
)
"""All nineteen by name, in the paper's order, the extras last."""

MAIN = tuple(kind for kind, corruption in CORRUPTIONS.items() if corruption.family != "extra")
"""The fifteen kinds of the mean corruption error."""

EXTRA = tuple(kind for kind, corruption in CORRUPTIONS.items() if corruption.family == "extra")
"""The four that Hendrycks and Dietterich keep for validation."""


@dataclass(frozen=True)
class CorruptionPlan:
    """Which corruptions to make.

    Attributes:
        kinds: Names of `CORRUPTIONS`; the fifteen where nothing is said.
        severities: Some of 1 … 5.
        seed: The seed of all random draws.

    Raises:
        UsageError: There is no such kind or severity, or none at all.
    """

    kinds: tuple[str, ...] = MAIN
    severities: tuple[int, ...] = SEVERITIES
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.cells:
            raise UsageError(f"expected kinds and severities, got {self.kinds} and {self.severities}")
        for kind, severity in self.cells:
            check_corruption(kind, severity)

    @property
    def cells(self) -> tuple[tuple[str, int], ...]:
        """Every kind at every severity, in order."""
        return tuple((kind, severity) for kind in self.kinds for severity in self.severities)


def check_corruption(kind: str, severity: int) -> None:
    """Refuse a kind or severity that does not exist.

    Raises:
        UsageError: It does not.
    """
    if kind not in CORRUPTIONS:
        raise UsageError(f"there is no corruption {kind!r}", hint="known: " + ", ".join(CORRUPTIONS))
    if severity not in SEVERITIES:
        raise UsageError(f"expected a severity of 1 … 5, got {severity!r}")


def choose_kinds(names: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds that are meant by names of kinds and of families.

    Each once, in the order of `CORRUPTIONS`; `main` stands for the fifteen, `all` for all nineteen.

    >>> choose_kinds(["noise", "fog"])
    ('gaussian_noise', 'shot_noise', 'impulse_noise', 'fog')

    Raises:
        UsageError: A name is none of these, or there is none.
    """
    groups: dict[str, tuple[str, ...]] = {kind: (kind,) for kind in CORRUPTIONS}
    groups |= {"main": MAIN, "all": tuple(CORRUPTIONS)}
    groups |= {str(family): kinds for family, kinds in _KINDS.items()}
    meant: set[str] = set()
    for name in names:
        if name not in groups:
            near = difflib.get_close_matches(name, groups, n=1)
            raise UsageError(
                f"there is no corruption {name!r}",
                hint=(f"did you mean {near[0]}? " if near else "") + "known: " + ", ".join(groups),
            )
        meant.update(groups[name])
    if not meant:
        raise UsageError("expected at least one kind of corruption, got none")
    return tuple(kind for kind in CORRUPTIONS if kind in meant)
