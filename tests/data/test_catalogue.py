"""The catalogue against scikit-learn and torchvision, which load the data sets."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from torchvision import datasets

from vitscope.data.catalogue import CATALOGUE
from vitscope.data.downloads import DOWNLOADS
from vitscope.data.sources import DataSpec, dataset_names, load_split


def test_it_has_every_name():
    assert tuple(CATALOGUE) == dataset_names()
    assert all(entry.name == name for name, entry in CATALOGUE.items())


def test_the_digits():
    entry, digits = CATALOGUE["digits"], load_digits()
    assert (entry.train, *entry.size) == digits.images.shape
    assert entry.classes == len(np.unique(digits.target))
    parts = [load_split(DataSpec("digits"), part) for part in ("train", "validation", "test")]
    assert sum(map(len, parts)) == entry.train
    assert parts[0].channels() == entry.channels
    assert entry.is_here()


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_files_are_those_that_torchvision_looks_for(name):
    source = getattr(datasets, DOWNLOADS[name])
    batches = [*source.train_list, *source.test_list, [source.meta["filename"], ""]]
    assert {f"{source.base_folder}/{file}" for file, _ in batches} == set(CATALOGUE[name].files)


def test_the_files_of_fashion_mnist():
    source = datasets.FashionMNIST.__new__(datasets.FashionMNIST)  # made, it would look for its files
    source.root = "nowhere"
    folder = source.raw_folder.removeprefix("nowhere/")
    expected = {f"{folder}/{file.removesuffix('.gz')}" for file, _ in datasets.FashionMNIST.resources}
    assert set(CATALOGUE["fashion-mnist"].files) == expected


@pytest.mark.parametrize("name", DOWNLOADS)
def test_here_once_all_files_are_there(name, tmp_path, monkeypatch):
    monkeypatch.setenv("VITSCOPE_DATA", str(tmp_path / "other"))
    entry = CATALOGUE[name]
    for file in entry.files:
        assert not entry.is_here(str(tmp_path))
        assert entry.describe(str(tmp_path))["folder"] == ""
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert entry.is_here(str(tmp_path))
    assert entry.describe(str(tmp_path))["folder"] == str(tmp_path)
    assert not entry.is_here()
    monkeypatch.setenv("VITSCOPE_DATA", str(tmp_path))
    assert entry.is_here()
