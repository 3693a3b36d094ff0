from __future__ import annotations

import os
from pathlib import Path

import pytest

from vitscope.data.folders import find_layout, list_images
from vitscope.errors import DataError


def fill(root, *files):
    """Make empty files: listing must not look into them."""
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def names_of(root, folder=None):
    return list_images(folder or root, root=root).names


def test_classes_files_and_labels(tmp_path):
    root = fill(tmp_path, "dog/10.jpg", "dog/9.PNG", "cat/deep/er/1.webp", "cat/0.bmp", "cat/a.TIFF")
    found = list_images(root, root=root)
    assert found.classes == ("cat", "dog")
    assert found.names == ["cat/0.bmp", "cat/a.TIFF", "cat/deep/er/1.webp", "dog/9.PNG", "dog/10.jpg"]
    assert found.labels == [0, 0, 0, 1, 1]
    assert found.paths == [root / name for name in found.names]


def test_hidden_and_other_files_are_left_out(tmp_path):
    hidden = ("a/.2.png", "a/._1.png", "a/.cache/3.png", ".git/4.png")
    other = ("a/Thumbs.db", "b/notes.txt", "b/png", "README.md", "5.png")
    root = fill(tmp_path, "a/1.png", "b/1.png", *hidden, *other)
    assert names_of(root) == ["a/1.png", "b/1.png"]


def test_links_neither_loop_nor_multiply(tmp_path):
    root = fill(tmp_path / "data", "a/1.png", "a/sub/2.png", "b/3.png")
    fill(tmp_path, "outside/4.png", "beside/5.png")
    links = {
        "a/itself": root / "a",
        "a/sub/up": root / "a",
        "a/sub/root": root,
        "a/above": tmp_path,
        "a/slash": Path("/"),
        "a/sibling": root / "b",
        "a/second-sub": root / "a" / "sub",
        "b/once": tmp_path / "outside",
        "b/twice": tmp_path / "outside",
        "b/nowhere": root / "gone",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    (root / "b" / "circle").symlink_to(root / "b" / "circle")
    assert names_of(root) == ["a/1.png", "a/sub/2.png", "b/3.png", "b/once/4.png"]


def test_a_class_may_be_a_link_and_so_may_a_file(tmp_path):
    root = fill(tmp_path / "data", "a/1.png")
    fill(tmp_path, "elsewhere/2.png")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "3.png").symlink_to(tmp_path / "elsewhere" / "2.png")
    (root / "a" / "4.png").symlink_to(tmp_path / "gone.png")
    # The last leads nowhere: it is listed, so that reading it says so, and not dropped in silence.
    assert names_of(root) == ["a/1.png", "a/3.png", "a/4.png", "b/2.png"]


@pytest.mark.parametrize("target", ["a", ".", ".."])
def test_a_class_that_is_another_folder_again_is_refused(target, tmp_path):
    root = fill(tmp_path / "data", "a/1.png")
    (root / "b").symlink_to(root / target)
    with pytest.raises(DataError, match="is a link to another folder of the same data"):
        list_images(root, root=root)


def test_the_order_of_the_disk_does_not_matter(tmp_path, monkeypatch):
    root = fill(tmp_path, *(f"{name}/{index}.png" for name in "cab" for index in (3, 1, 20, 2)))
    expected = names_of(root)
    scan = os.scandir

    class Reversed:
        def __init__(self, folder):
            with scan(folder) as entries:
                self.entries = list(entries)[::-1]

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Reversed)
    assert names_of(root) == expected


def test_names_of_any_bytes_are_kept(tmp_path):
    root = fill(tmp_path, "$\\frac/[red].png", "b/'\"<x>.png", "é/😀.png")
    fill(root, os.fsdecode(b"\xff\xfe/\xfd.png"))
    found = list_images(root, root=root)
    assert set(found.classes) == {"$\\frac", "b", "é", "\udcff\udcfe"}
    assert all(path.is_file() for path in found.paths)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("train/a/1.png", "test/a/1.png"), ("train", None, "test")),
        (("train/a/1.png", "val/a/1.png"), ("train", None, "val")),
        (("train/a/1.png", "valid/a/1.png"), ("train", None, "valid")),
        (("train/a/1.png", "val/a/1.png", "test/a/1.png"), ("train", "val", "test")),
        (("train/a/1.png", "test/a/1.png", "meta/x.txt"), ("train", None, "test")),
        (("train/a/1.png",), ("train", None, None)),
        (("test/a/1.png",), (None, None, "test")),
        (("a/1.png", "b/1.png"), (None, None, None)),
        (("bus/1.png", "car/1.png", "train/1.png"), (None, None, None)),
    ],
)
def test_layouts(files, expected, tmp_path):
    layout = find_layout(fill(tmp_path, *files))
    found = tuple(
        None if part is None else part.name for part in (layout.train, layout.validation, layout.test)
    )
    assert found == expected
    assert layout.whole == (expected == (None, None, None))


def test_folders_that_are_none_are_refused(tmp_path):
    file = fill(tmp_path, "file") / "file"
    with pytest.raises(DataError, match="is a file"):
        find_layout(file)
    with pytest.raises(DataError, match="does not exist"):
        find_layout(tmp_path / "missing")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((".hidden",), "holds no class folders"),
        (("1.png", "2.png"), "holds images but no class folders"),
        (("a/1.png",), "expected two classes or more in .*, got only 'a'"),
        (("a/1.png", "b/notes.txt"), "class folder .*b holds no images"),
    ],
)
def test_folders_without_classes_or_images_are_refused(files, expected, tmp_path):
    with pytest.raises(DataError, match=expected) as caught:
        list_images(fill(tmp_path, *files), root=tmp_path)
    assert caught.value.hint


def test_a_folder_that_cannot_be_listed_is_said(tmp_path, monkeypatch):
    root = fill(tmp_path, "a/1.png", "b/1.png")

    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"cannot list the folder .*a: permission denied"):
        list_images(root, root=root)
