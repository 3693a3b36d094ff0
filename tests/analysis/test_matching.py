from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.oracles.samples import made
from vitscope.analysis.comparison import compare
from vitscope.analysis.matching import Labelling, check_same_images
from vitscope.analysis.outcomes import outcomes
from vitscope.errors import InputError
from vitscope.records.provenance import Provenance


def labelling(labels=(0, 1, 1), classes=("cat", "dog"), names=("a.png", "b.png", "c.png"), digest=""):
    return Labelling(np.array(labels), tuple(classes), tuple(names), digest)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (labelling(labels=(0, 1), names=("a.png", "b.png")), "3 and 2 of them"),
        (labelling(names=("a.png", "x.png", "c.png")), "image 1 is 'b.png' and 'x.png'$"),
        (labelling(names=("b.png", "a.png", "c.png")), "another order"),
        (labelling(labels=(0, 0, 1)), "image 1, 'b.png', is labelled 'dog' and 'cat'"),
        (labelling(classes=("cat", "fox")), "class 1 is 'dog' and 'fox'|labelled 'dog' and 'fox'"),
        (labelling(classes=("cat", "dog", "fox")), "2 and 3 classes"),
        (labelling(digest="other"), "digests of the data"),
    ],
)
def test_names_what_differs(other, said):
    first = labelling(digest="one" if other.digest else "")
    with pytest.raises(InputError, match=said) as caught:
        check_same_images({"A": first, "B": first, "C": other})
    assert str(caught.value).startswith("A and C")


def test_equal_images_pass():
    check_same_images(
        {"A": labelling(), "B": labelling(), "C": labelling(names=()), "D": labelling(digest="x")}
    )


def test_spelling_may_differ_where_the_digest_is_the_same():
    first, second = labelling(digest="same"), labelling(classes=("tabby cat", "Dog"), digest="same")
    check_same_images({"A": first, "B": second})
    with pytest.raises(InputError, match="classes"):
        check_same_images({"A": first, "B": labelling(classes=("cat", "dog", "fox"), digest="same")})
    twice = labelling(classes=("cat", "cat"))
    with pytest.raises(InputError, match="both called 'cat'"):
        check_same_images({"A": twice, "B": replace(twice, labels=np.array([0, 1, 0]))})


def test_what_predictions_and_outcomes_know():
    record = made(np.eye(3), [0, 1, 2])
    assert Labelling.of(record).names == ()  # they only count the images
    assert Labelling.of(replace(record, names=("x", "y", "z"))).names == ("x", "y", "z")
    known = replace(record, provenance=Provenance(data_digest="d"))
    assert (Labelling.of(known).names, Labelling.of(known).digest) == (("0", "1", "2"), "d")
    assert Labelling.of(outcomes(known)).digest == ""


def test_compare_asks():
    first, second = made(np.eye(3), [0, 1, 2]), made(np.eye(3), [0, 1, 1])
    with pytest.raises(InputError, match="image 2 is labelled 'class 2' and 'class 1'"):
        compare({"a": first, "b": second})
    with pytest.raises(InputError, match="image 2 is labelled"):
        compare({"a": outcomes(first), "b": second})
