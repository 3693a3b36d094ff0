"""Venues: how wide a figure may be in each, and how its letters are set."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from vitscope.errors import UsageError

__all__ = ["SMALLEST", "VENUES", "Extent", "Venue", "find_venue"]

Extent = Literal["column", "page"]
"""Whether a figure is as wide as a column or as the page's text; the same where there is one column."""

SMALLEST = 6.0  # points: nothing smaller is read in print
_MM = 1 / 25.4
_SERIF = ("STIXGeneral", "DejaVu Sans")
_SANS = ("DejaVu Sans",)


@dataclass(frozen=True)
class Venue:
    """A venue's figures.

    Attributes:
        name: What a user calls it.
        column: Inches of a column.
        page: Inches of the page's text, of all columns.
        caption: Points of a caption, for whoever sets the figure beside one.
        largest: Points of a figure's largest letters; titles and labels that would be larger have these.
        family: The typefaces, the first that has a character draws it. Both come with matplotlib, so that
            figures look the same everywhere: STIX General is a Times, and DejaVu Sans knows most scripts.
        scale: How much larger everything is than in print, for a wall.
        height: Inches that figures are high at most whose parts can be arranged otherwise.
    """

    name: str
    column: float
    page: float
    caption: float = 10.0
    largest: float = 9.0
    family: tuple[str, ...] = _SERIF
    scale: float = 1.0
    height: float = 8.8

    def width(self, extent: Extent) -> float:
        """Return the inches that a figure is wide.

        Raises:
            UsageError: It is neither a column nor a page.
        """
        if extent not in get_args(Extent):
            raise UsageError(f"expected the width as column or page, got {extent}")
        return self.column if extent == "column" else self.page

    def points(self, size: float) -> float:
        """Return the points in which letters are set that have `size` points in most papers.

        Never under 6 points, nor over what the venue allows.
        """
        return self.scale * max(SMALLEST, min(size, self.largest))


VENUES: MappingProxyType[str, Venue] = MappingProxyType(
    {
        venue.name: venue
        for venue in (
            Venue("neurips", 5.5, 5.5),
            Venue("iclr", 5.5, 5.5),
            Venue("icml", 3.25, 6.75, caption=9.0),
            Venue("cvpr", 3.28125, 6.875, caption=9.0),
            Venue("ieee", 3.5, 7.16, caption=8.0, largest=8.0),
            Venue("acl", 77 * _MM, 160 * _MM),
            Venue("nature", 89 * _MM, 183 * _MM, caption=7.0, largest=7.0, family=_SANS),
            Venue("slides", 5.67, 11.5, caption=18.0, family=_SANS, scale=1.75, height=7.0),
        )
    }
)
"""The venues by name.

*Source*: what the venues' own styles say; where they are kept in public is in brackets.
- `neurips_2025.sty`: `textwidth=5.5in`; captions in `\\normalsize`, 10 points.
- `iclr2025_conference.sty` (ICLR/Master-Template): `\\textwidth 5.5 true in`.
- `icml2025.sty`: `\\textwidth=6.75in`, `\\columnsep=0.25in`; captions in `\\small`, 9 points.
- `cvpr.sty` 2025 (cvpr-org/author-kit): `\\textwidth=6.875in`, `\\columnsep=0.3125in`; captions in
  `\\small`, 9 points.
- `IEEEtran.cls` 1.8b: columns of 21 pica (3.5 inches) and text of 43 pica (7.16 inches); captions in
  `\\footnotesize`, 8 points.
- `acl.sty` (acl-org/acl-style-files): A4 with margins of 2.5 cm, `\\columnsep` 0.6 cm, so 16.0 and 7.7 cm;
  captions of 10 points.
- Nature's figure guide (research-figure-guide.nature.com): 89 and 183 mm, sans-serif letters of 5 to 7
  points.
- Slides of 13.33 by 7.5 inches, PowerPoint's widescreen: the text of its own layouts is 11.5 inches wide, or
  twice 5.67 inches; labels have 14 points, and figures leave half an inch of the height.

Under captions of 9 or 10 points the labels of axes have 8 points and the ticks 7, each a step smaller.
"""


def find_venue(name: str) -> Venue:
    """Return a venue by its name.

    Raises:
        UsageError: There is none of this name.
    """
    if name not in VENUES:
        raise UsageError(f"expected a venue of {', '.join(VENUES)}, got {name}")
    return VENUES[name]
