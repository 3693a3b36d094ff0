"""`vitscope datasets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vitscope.cli.console import result, result_json, table
from vitscope.cli.options import Json
from vitscope.errors import InputError

if TYPE_CHECKING:
    from vitscope.data.catalogue import DatasetEntry

__all__ = ["datasets"]


def datasets(
    name: Annotated[
        str | None, typer.Argument(help="One data set: all that is known of it.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """List the data sets known by name: images, classes, size, download, licence, and which are here.

    Example: vitscope datasets cifar10
    """
    from vitscope.data.catalogue import CATALOGUE

    if name is not None and name not in CATALOGUE:
        from difflib import get_close_matches

        near = get_close_matches(name.lower(), CATALOGUE, n=1)
        there = f"did you mean {near[0]}?" if near else f"there are {', '.join(CATALOGUE)}"
        raise InputError(f"there is no data set {name!r}", hint=there)
    chosen = list(CATALOGUE.values()) if name is None else [CATALOGUE[name]]
    if json:
        described = [entry.describe() for entry in chosen]
        result_json({"datasets": described} if name is None else described[0])
    elif name is None:
        table([_HEAD, *(_row(entry) for entry in chosen)])
        result()
        result("--data takes a name, or a folder of images with a folder for each class.")
    else:
        _describe(chosen[0])


_HEAD = ("data set", "train", "test", "classes", "pixels", "download", "licence", "here")


def _row(entry: DatasetEntry) -> tuple[str, ...]:
    return (
        entry.name,
        f"{entry.train:,}",
        f"{entry.test:,}" if entry.test else "a share",
        str(entry.classes),
        _pixels(entry),
        _download(entry),
        entry.licence.partition(";")[0],
        "yes" if entry.is_here() else "no",
    )


def _pixels(entry: DatasetEntry) -> str:
    return "x".join(map(str, (*entry.size, entry.channels)))


def _download(entry: DatasetEntry) -> str:
    return f"{entry.download / 1e6:,.0f} MB" if entry.download else "none"


def _describe(entry: DatasetEntry) -> None:
    from vitscope.data.downloads import data_folder

    parts = f"{entry.train:,} to train on" if entry.test else f"{entry.train:,}, a share held out for testing"
    tested = f", {entry.test:,} to test" if entry.test else ""
    rows, columns = entry.size
    colour = "colour" if entry.channels == 3 else "grey"
    result(f"{entry.name}: {entry.summary}")
    result(f"images    {parts}{tested}; {rows}x{columns} pixels, {colour}; {entry.classes} classes")
    result(f"download  {_download(entry)}")
    result(f"licence   {entry.licence}")
    result(f"source    {entry.source}")
    result(f"          {entry.address}")
    if entry.files:
        state = "here" if entry.is_here() else "not here yet; downloaded on first use"
        result(f"place     {data_folder()}: {state}")
