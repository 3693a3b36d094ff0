from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vitscope.data.folders import list_files
from vitscope.data.foreign import UNLABELLED, foreign_images
from vitscope.data.sources import DataSpec, load_split
from vitscope.errors import DataError


def fill(root, *files):
    for number, file in enumerate(files):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((5, 6), number, np.uint8)).save(path)
    return root


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("10.png", "9.png"), ("9.png", "10.png")),
        (("only/1.png", "only/deep/2.png"), ("only/1.png", "only/deep/2.png")),
        (("a/1.png", "b/1.png", "0.png"), ("0.png", "a/1.png", "b/1.png")),
        (("train/a/1.png", "test/a/2.png", "test/3.png"), ("3.png", "a/2.png")),
        ((".hidden.png", "seen.png"), ("seen.png",)),
    ],
)
def test_any_folder_is_a_set_of_pictures(tmp_path, files, names):
    images = foreign_images(str(fill(tmp_path / "photos", *files)))
    assert images.names == names
    assert images.name == "photos"
    assert images.classes == (UNLABELLED,)
    assert images.labels.tolist() == [0] * len(names)
    assert all(images.image(index).size == (6, 5) for index in range(len(names)))


def test_all_digits_without_their_labels():
    images = foreign_images("digits")
    assert len(images) == 1797
    assert images.classes == (UNLABELLED,)
    assert np.array_equal(images.array, load_split(DataSpec("digits", test=1), "test").array)


def test_what_is_not_there_is_explained(tmp_path):
    with pytest.raises(DataError, match="no data set or folder 'diggits'") as caught:
        foreign_images("diggits")
    assert "did you mean digits?" in caught.value.hint
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(DataError, match="holds no images"):
        foreign_images(str(tmp_path))
    with pytest.raises(DataError, match="is a file"):
        foreign_images(str(tmp_path / "notes.txt"))


def test_links_do_not_multiply_pictures(tmp_path):
    root = fill(tmp_path / "photos", "a/1.png")
    (root / "a" / "up").symlink_to(root)
    (root / "again").symlink_to(root / "a")
    assert list_files(root)[0] == ["a/1.png"]
    with pytest.raises(DataError, match="does not exist"):
        list_files(root / "nowhere")
