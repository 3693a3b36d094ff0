"""Figures of finished folders on a page, and the pages that lie beside it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from PIL import Image

from vitscope.report.page_files import read_json, reading
from vitscope.report.page_text import per_cent, shown
from vitscope.report.sprites import data_address

if TYPE_CHECKING:
    from pathlib import Path

    from vitscope.report.page_runs import Run

__all__ = ["find_embedding", "find_inspection"]

_WIDEST = 1200  # pixels of a figure on the page
_MOST = 6  # figures of a folder
_ORDER = ("heads", "lens", "cka", "class_rollout", "positions", "filters")  # of an inspection
_PAGES = 6  # pages that are named
_METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}


def find_embedding(run: Run, page: Path) -> dict[str, Any] | None:
    """Return the newest embedding's numbers and figures, and the pages of all; None where there is none.

    Args:
        run: The run.
        page: Where the page will be, from where others are named.

    Raises:
        InputError: The folder is damaged.
    """
    folders = run.beside.get("vitscope.embedding", ())
    if not folders:
        return None
    path = folders[0] / "embedding.json"
    told = read_json(path, maker="embed") if path.is_file() else {}
    with reading(path, maker="embed"):
        rows, readout = [_row(each) for each in told.get("embeddings", ())], _readout(told.get("readout"))
    pages = [each for folder in folders[:_PAGES] if (each := _link(folder / "embedding.html", page))]
    figures = _figures(folders[0], maker="embed")
    if not (figures or pages or rows):
        return None
    return {
        "folder": shown(str(folders[0])),
        "figures": figures,
        "rows": rows,
        "readout": readout,
        "pages": pages,
    }


def find_inspection(run: Run) -> dict[str, Any] | None:
    """Return the newest inspection's figures; None where there is none.

    Raises:
        InputError: A figure is damaged.
    """
    folders = run.beside.get("vitscope.inspection", ())
    figures = _figures(folders[0], maker="inspect") if folders else []
    return {"folder": shown(str(folders[0])), "figures": figures} if figures else None


def _row(each: dict[str, Any]) -> dict[str, Any]:
    trust = each.get("trustworthiness")
    return {
        "name": shown(f"{each['model']}, {each['layer']}"),
        "token": shown(each["token"]),
        "method": _METHODS.get(each["method"], shown(each["method"])),
        "n": int(each["images"]),
        "seed": str(each.get("seed", "")),
        "trust": "n/a" if trust is None else f"{trust:.3f}",
    }


def _readout(read: dict[str, Any] | None) -> dict[str, Any] | None:
    if read is None:
        return None
    columns = [zip(read[name], read[f"{name}_interval"], strict=True) for name in ("probe", "knn")]
    rows = [
        {"layer": shown(layer), "cells": [_share(*each) for each in cells]}
        for layer, *cells in zip(read["layers"], *columns, strict=True)
    ]
    return {"neighbors": int(read["neighbors"]), "n": int(read["images"]), "rows": rows}


def _share(value: float, bounds: tuple[float, float]) -> tuple[str, str]:
    return per_cent(value), f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}"


def _link(target: Path, page: Path) -> dict[str, Any] | None:
    """Return the address of a file from the page's folder, and its size; None where it is not there."""
    try:
        size = target.stat().st_size
        way = os.path.relpath(os.path.abspath(target), os.path.abspath(page.parent))  # noqa: PTH100
    except (OSError, ValueError):  # of another drive there is no way
        return None
    # Beginning with a dot it is a place, whatever the name: `javascript:x` would be something to run.
    address = "./" + quote(os.fsencode(way.replace(os.sep, "/")))
    return {"address": address, "path": shown(way), "size": f"{size / 1e6:.1f} MB"}


def _figures(folder: Path, *, maker: str) -> list[dict[str, str]]:
    """Return the figures of a folder with what is said of each.

    Raises:
        InputError: One is damaged.
    """
    captions = folder / "figures" / "captions.json"
    said = read_json(captions, maker=maker) if captions.is_file() else {}
    files = sorted((folder / "figures").glob("*.png"), key=_place)
    return [
        {"name": shown(str(said.get(file.stem, file.stem))), "address": _address(file, maker=maker)}
        for file in files[:_MOST]
    ]


def _place(file: Path) -> tuple[int, str]:
    return _ORDER.index(file.stem) if file.stem in _ORDER else len(_ORDER), file.name


def _address(file: Path, *, maker: str) -> str:
    """Return a figure as an address, no wider than a page shows."""
    with reading(file, maker=maker):
        try:
            with Image.open(file, formats=("PNG",)) as image:
                figure = image.convert("RGB")
        except (SyntaxError, Image.DecompressionBombError) as error:  # what Pillow calls other damage
            raise ValueError(error) from error
    if figure.width > _WIDEST:
        height = round(figure.height * _WIDEST / figure.width)
        figure = figure.resize((_WIDEST, height), Image.Resampling.LANCZOS)
    return data_address(figure)
