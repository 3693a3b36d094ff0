from __future__ import annotations

import json
import os

import pytest

from tests.oracles.taxonomy import COARSE_OF_FINE
from vitscope.analysis.taxonomy import load_superclasses
from vitscope.errors import InputError

NAMES = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel "
    "can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur "
    "dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion "
    "lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree "
    "pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea "
    "seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table "
    "tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman "
    "worm"
)
CIFAR100 = tuple(NAMES.split())


def test_cifar100_agrees_with_the_labels_in_its_files():
    found = load_superclasses("cifar100", CIFAR100)
    assert len(found.names) == 20
    assert found.member.tolist() == list(COARSE_OF_FINE)
    assert found.names[9:12] == (
        "large man-made outdoor things",
        "large natural outdoor scenes",
        "large omnivores and herbivores",
    )


def test_cifar100_in_another_order_and_spelling():
    classes = tuple(name.replace("_", " ").title() for name in reversed(CIFAR100))
    found = load_superclasses("cifar100", classes)
    assert found.classes == classes
    assert found.member.tolist() == list(reversed(COARSE_OF_FINE))


def test_cifar100_is_not_for_other_classes():
    with pytest.raises(InputError, match="classes of the model, got 'beaver'"):
        load_superclasses("cifar100", ("cat", "dog"))


CLASSES = ("cat", "dog", "a, b", "日本")
PAIRS = {"cat": "pet", "dog": "pet", "a, b": "other thing", "日本": "place"}
NESTED = {"pet": ["cat", "dog"], "other thing": ["a, b"], "place": ["日本"]}
CSV = '\ufeffclass,superclass\r\ncat,pet\r\n\r\ndog, pet \r\n"a, b",other thing\r\n日本,place\r\n'


@pytest.mark.parametrize("text", [CSV, json.dumps(PAIRS), json.dumps(NESTED)], ids=["csv", "pairs", "nested"])
def test_reads_a_file(tmp_path, text):
    path = tmp_path / "classes"
    path.write_text(text, encoding="utf-8", newline="")
    found = load_superclasses(path, CLASSES)
    assert found.names == ("other thing", "pet", "place")
    assert [found.names[index] for index in found.member] == ["pet", "pet", "other thing", "place"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "header 'class,superclass' in line 1"),
        ("cat,pet\n", "got 'cat,pet'"),
        ("class,superclass\ncat,pet\ncow,pet\n", "got 'cow' in line 3"),
        ("class,superclass\ncat,pet\ndog,pet\ncat,pet\n", "got 'cat' in line 2 and in line 4"),
        ("class,superclass\ncat,pet\ndog\n", "in line 3 of .*, got \\['dog'\\]"),
        ("class,superclass\ncat,pet\ndog,\n", "in line 3"),
        ("class,superclass\ncat,pet,3\n", "in line 2"),
        ('class,superclass\n"cat,pet\n', "is not CSV"),
        ("class,superclass\ncat,pet\n", "got none for 'dog', 'a, b', '日本'"),
        ('{"cat": "pet",\n "dog" "pet"}', "line 2 of .* is not JSON"),
        ('{"cat": "pet", "cat": "other"}', "got 'cat' as a key and as a key"),
        ('{"pet": ["cat"], "wild": ["cat"]}', "got 'cat' in 'pet' and in 'wild'"),
        ('{"cat": 3}', "under 'cat'"),
        ('{"pet": []}', "under 'pet'"),
        ('{"pet": ["cat", 3]}', "under 'pet'"),
        ('["cat"]', "one JSON object"),
        ("[" * 100_000, "is not JSON"),
        ('{"cow": "pet"}', "got 'cow' as a key"),
    ],
)
def test_refuses_a_file(tmp_path, text, said):
    path = tmp_path / "classes"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        load_superclasses(path, CLASSES)


def test_refuses_what_is_no_text(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_bytes(b"class,superclass\n\xff\xfe,pet\n")
    with pytest.raises(InputError, match="as text in UTF-8"):
        load_superclasses(path, CLASSES)
    for missing in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError, match="expected cifar100 or a file of superclasses"):
            load_superclasses(missing, CLASSES)


def test_never_waits_for_a_pipe_nor_reads_without_end(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a file of superclasses"):
        load_superclasses(tmp_path / "pipe", CLASSES)
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(2**30)
    with pytest.raises(InputError, match="1,073,741,824 bytes"):
        load_superclasses(tmp_path / "large", CLASSES)
