"""The data sets by name: what each holds, where it comes from, and whether it is here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vitscope.data.downloads import data_folder

__all__ = ["CATALOGUE", "DatasetEntry"]


@dataclass(frozen=True)
class DatasetEntry:
    """A data set known by name.

    Attributes:
        name: As `--data` takes it.
        summary: One line for lists.
        train: Images to train on, of which the validation part is taken.
        test: Images of its own test part; 0 where it is not divided, and a share of `train` is held out.
        classes: How many.
        size: Rows and columns of every image.
        channels: 1 for grey, 3 for colour.
        download: Bytes that are downloaded; 0 where it is embedded.
        files: The files below `data_folder()` that are there once it was downloaded.
        licence: What its authors say.
        source: Who made it, and where it is described.
        address: Where it comes from.
    """

    name: str
    summary: str
    train: int
    test: int
    classes: int
    size: tuple[int, int]
    channels: int
    download: int
    files: tuple[str, ...]
    licence: str
    source: str
    address: str

    def is_here(self, root: str = "") -> bool:
        """Tell whether its files are there, unread: damaged ones show when the data set is loaded."""
        folder = data_folder(root)
        return all((folder / name).is_file() for name in self.files)

    def describe(self, root: str = "") -> dict[str, Any]:
        """Return the fields, as JSON can hold them, and whether and where it is here."""
        here = self.is_here(root)
        folder = str(data_folder(root)) if here and self.files else ""
        return (
            asdict(self)
            | {"size": list(self.size), "files": list(self.files)}
            | {
                "here": here,
                "folder": folder,
            }
        )


def _cifar(classes: int, *, download: int, folder: str, batches: tuple[str, ...]) -> DatasetEntry:
    return DatasetEntry(
        name=f"cifar{classes}",
        summary=f"small photographs of {classes} kinds of things",
        train=50_000,
        test=10_000,
        classes=classes,
        size=(32, 32),
        channels=3,
        download=download,
        files=tuple(f"{folder}/{name}" for name in batches),
        licence="none stated; the authors ask to be cited",
        source="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
        address="https://www.cs.toronto.edu/~kriz/cifar.html",
    )


_MNIST_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")

CATALOGUE: dict[str, DatasetEntry] = {
    entry.name: entry
    for entry in (
        DatasetEntry(
            name="digits",
            summary="handwritten digits, embedded",
            train=1797,
            test=0,
            classes=10,
            size=(8, 8),
            channels=1,
            download=0,
            files=(),
            licence="CC BY 4.0",
            source="Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits; by scikit-learn",
            address="https://archive.ics.uci.edu/dataset/80",
        ),
        _cifar(
            10,
            download=170_498_071,
            folder="cifar-10-batches-py",
            batches=(*(f"data_batch_{index}" for index in range(1, 6)), "test_batch", "batches.meta"),
        ),
        _cifar(100, download=169_001_437, folder="cifar-100-python", batches=("train", "test", "meta")),
        DatasetEntry(
            name="fashion-mnist",
            summary="articles of clothing in grey",
            train=60_000,
            test=10_000,
            classes=10,
            size=(28, 28),
            channels=1,
            download=30_878_645,
            files=tuple(f"FashionMNIST/raw/{name}-ubyte" for name in _MNIST_FILES),
            licence="MIT",
            source="Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747",
            address="https://github.com/zalandoresearch/fashion-mnist",
        ),
    )
}
"""The data sets by name, in the order in which they are listed."""
