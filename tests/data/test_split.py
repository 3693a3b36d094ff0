from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.stratification import quotas
from vitscope.data.split import stratified_split, stratified_subset
from vitscope.errors import DataError

label_lists = st.lists(st.integers(0, 6), min_size=1, max_size=120)
fractions = st.floats(0.01, 0.99)
seeds = st.integers(-(2**31), 2**31)


def named(labels):
    return [f"class{label}/image {index}.png" for index, label in enumerate(labels)]


@given(label_lists, fractions, seeds)
def test_the_parts_are_disjoint_and_complete_and_ascending(labels, fraction, seed):
    kept, held = stratified_split(np.array(labels), named(labels), fraction=fraction, seed=seed)
    assert sorted([*kept, *held]) == list(range(len(labels)))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held) > 0).all()


@given(label_lists, fractions, seeds)
def test_every_class_has_its_share_and_stands_on_both_sides(labels, fraction, seed):
    labels = np.array(labels)
    kept, held = stratified_split(labels, named(labels), fraction=fraction, seed=seed)
    classes, counts = np.unique(labels, return_counts=True)
    expected = quotas(counts.tolist(), math.ceil(len(labels) * fraction - 1e-9))
    for label, count, quota in zip(classes, counts, expected, strict=True):
        out = int((labels[held] == label).sum())
        assert out == (min(max(quota, 1), count - 1) if count > 1 else 0)
        assert abs(out - quota) <= 1
        assert int((labels[kept] == label).sum()) == count - out


@given(label_lists, fractions, seeds, st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(labels, fraction, seed, random):
    names = named(labels)
    order = list(range(len(labels)))
    random.shuffle(order)
    _, held = stratified_split(np.array(labels), names, fraction=fraction, seed=seed)
    shuffled_names = [names[index] for index in order]
    _, again = stratified_split(np.array(labels)[order], shuffled_names, fraction=fraction, seed=seed)
    assert {names[index] for index in held} == {shuffled_names[index] for index in again}


def test_the_choice_is_the_one_written_down():
    names = [f"{index}" for index in range(10)]
    _, held = stratified_split(np.zeros(10, dtype=np.int64), names, fraction=0.3, seed=5)
    ranked = sorted(range(10), key=lambda index: hashlib.sha256(f"5:{index}".encode()).digest())
    assert held.tolist() == sorted(ranked[:3])


def test_another_seed_chooses_others():
    labels, names = np.zeros(100, dtype=np.int64), named([0] * 100)
    chosen = {tuple(stratified_split(labels, names, fraction=0.1, seed=seed)[1]) for seed in range(20)}
    assert len(chosen) == 20


def test_each_image_is_held_out_about_equally_often():
    labels, names = np.zeros(20, dtype=np.int64), named([0] * 20)
    count = np.zeros(20)
    for seed in range(400):
        count[stratified_split(labels, names, fraction=0.25, seed=seed)[1]] += 1
    # Binomial(400, 1/4): mean 100, standard deviation 8.7; five of these either way.
    assert count.sum() == 400 * 5
    assert 56 < count.min() <= count.max() < 144


@pytest.mark.parametrize(
    ("size", "fraction", "expected"), [(50_000, 0.1, 5000), (1797, 0.2, 360), (10, 0.3, 3)]
)
def test_the_total_is_rounded_up_but_not_by_floating_point(size, fraction, expected):
    labels = np.arange(size) % 10 if size > 10 else np.zeros(size, dtype=np.int64)
    _, held = stratified_split(labels, [str(index) for index in range(size)], fraction=fraction, seed=0)
    assert len(held) == expected


def test_a_single_image_is_kept_and_two_are_shared():
    kept, held = stratified_split(np.array([0, 1, 1]), ["a", "b", "c"], fraction=0.5, seed=0)
    assert 0 in kept
    assert len(held) == 1


def test_names_that_are_not_utf8_are_ranked_too():
    kept, held = stratified_split(np.array([0, 0]), ["a\udcff", "b"], fraction=0.5, seed=0)
    assert len(kept) == len(held) == 1


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, math.nan])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(DataError, match="between 0 and 1"):
        stratified_split(np.array([0, 1]), ["a", "b"], fraction=fraction, seed=0)


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="got 1 and 2"):
        stratified_split(np.array([0, 1]), ["a"], fraction=0.5, seed=0)


@given(label_lists, st.integers(1, 130), seeds)
def test_a_subset_has_each_class_in_its_share(labels, count, seed):
    labels = np.array(labels)
    chosen = stratified_subset(labels, count, seed=seed)
    assert len(set(chosen.tolist())) == len(chosen) == min(count, len(labels))
    assert (np.diff(chosen) > 0).all()
    if count < len(labels):
        classes, counts = np.unique(labels, return_counts=True)
        expected = quotas(counts.tolist(), count)
        assert [int((labels[chosen] == label).sum()) for label in classes] == expected


def test_a_subset_depends_on_the_seed_alone():
    labels = np.arange(1000) % 7
    first, again, other = (stratified_subset(labels, 50, seed=seed) for seed in (3, 3, 4))
    assert first.tolist() == again.tolist() != other.tolist()


def test_a_larger_subset_holds_the_smaller_one():
    labels = np.arange(1000) % 10
    small, large = (set(stratified_subset(labels, count, seed=1).tolist()) for count in (100, 400))
    assert small < large


@pytest.mark.parametrize("count", [0, -1])
def test_an_empty_subset_is_refused(count):
    with pytest.raises(DataError, match="at least 1"):
        stratified_subset(np.array([0, 1]), count, seed=0)
