"""Classes of data found among those of a model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitscope.data.imageset import ImageSet
from vitscope.errors import DataError
from vitscope.inference.alignment import match_classes
from vitscope.inference.imagenet import imagenet_classes, name_classes

IMAGENET = imagenet_classes()


def places(*names):
    return match_classes(names, IMAGENET.names, IMAGENET.aliases)


@given(st.permutations(range(9)), st.integers(0, 9))
def test_any_part_in_any_order(order, count):
    classes = [f"class {index}" for index in range(9)]
    assert match_classes([classes[index] for index in order[:count]], classes) == list(order[:count])


def test_all_of_imagenet_by_each_of_its_names():
    synsets = [aliases[0] for aliases in IMAGENET.aliases]
    assert places(*synsets) == places(*IMAGENET.names[:134], *synsets[134:]) == list(range(1000))
    assert len(set(IMAGENET.names)) == 1000
    assert IMAGENET.names[0] == "tench"
    assert synsets == sorted(synsets)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("n01440764", 0),
        ("N01440764", 0),
        ("tench", 0),
        ("Tench", 0),
        ("tench, Tinca tinca", 0),
        ("tench_tinca-tinca", 0),
        ("great_white_shark", 2),
        ("Great  White-Shark", 2),
        ("crane bird", 134),
        ("n03126707", 517),
        ("toilet tissue", 999),
    ],
)
def test_names_of_imagenet(name, place):
    assert places(name) == [place]


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        (["crane"], "'crane' of the data could be 'crane bird' or 'crane'", "n02012849 or n03126707"),
        (["tench", "n01440764"], "'tench' and 'n01440764' of the data are both the model's 'tench'", "one"),
        (["tench", "zebra crossing"], "does not know the class 'zebra crossing'", "1000 classes: tench"),
        ([""], "does not know the class ''", "n01440764"),
        (["__"], "does not know the class '__'", ""),
    ],
)
def test_what_means_nothing_or_two_things(names, message, hint):
    with pytest.raises(DataError, match=message) as caught:
        places(*names)
    assert hint in caught.value.hint


def test_letter_for_letter_comes_first():
    assert match_classes(["cat", "Cat"], ["Cat", "cat"]) == [1, 0]
    with pytest.raises(DataError, match="could be 'Cat' or 'cat'"):
        match_classes(["CAT"], ["Cat", "cat"])


def test_signs_alone_are_names_too():
    assert match_classes(["+", "-"], ["-", "+", "_"]) == [1, 0]


def test_classes_without_names_say_so():
    with pytest.raises(DataError) as caught:
        match_classes(["cat"], [str(index) for index in range(10)])
    assert "--classes" in caught.value.hint


def test_lists_that_are_imagenets_are_recognised():
    lemmas = [aliases[1] for aliases in IMAGENET.aliases]
    assert len(set(lemmas)) == 999
    named = name_classes(1000, lemmas)
    assert named.names == IMAGENET.names
    assert match_classes(["n01440764"], named.names, named.aliases) == [0]
    other = [f"class {index}" for index in range(1000)]
    assert name_classes(1000, other).names == tuple(other)
    assert name_classes(1000, IMAGENET.names[::-1]).names == IMAGENET.names[::-1]


def test_numbers_of_classes():
    assert name_classes(3).names == ("0", "1", "2")
    assert name_classes(1000).names[5] == "5"
    assert name_classes(1000, imagenet=True) is IMAGENET
    assert name_classes(999, imagenet=True).names[5] == "5"


def test_labels_follow_their_classes():
    from vitscope.data.preprocessing import Preprocessing
    from vitscope.inference.alignment import align
    from vitscope.inference.classifier import Classifier

    form = Preprocessing((4, 4), 3, (0.0,) * 3, (1.0,) * 3)
    from torch import nn

    model = Classifier(nn.Flatten(), classes=IMAGENET.names, preprocessing=form, aliases=IMAGENET.aliases)
    array = np.zeros((4, 3, 4, 4), np.uint8)
    data = ImageSet(
        "made", "test", ("n01443537", "n01440764"), np.array([0, 1, 1, 0]), tuple("0123"), array=array
    )
    aligned = align(data, model)
    assert aligned.labels.tolist() == [1, 0, 0, 1]
    assert aligned.labels.dtype == np.int64
    assert aligned.classes == model.classes
    assert align(aligned, model) is aligned
