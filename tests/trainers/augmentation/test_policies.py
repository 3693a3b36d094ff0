"""Strengths, signs and frequencies of the policies against torchvision's tables."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torchvision.transforms import v2

from tests.trainers.augmentation.pictures import varied
from vitscope.trainers.augmentation.operations import NAMES
from vitscope.trainers.augmentation.policies import Policy

SIZES = [(32, 32), (20, 48)]


def chosen(policy, count=20000, size=(32, 32), seed=0):
    draws = torch.rand(count, policy.draws, generator=torch.Generator().manual_seed(seed))
    return policy.choose(draws, *size)


def allowed(space, name, bins, level, size):
    """The strengths that torchvision gives an operation: of one level, or of all."""
    make, signed = space[name]
    values = make(bins, *size)
    if values is None:
        return {0.0}
    values = [float(value) for value in (values if level is None else values[level : level + 1])]
    return {*values, *(-value for value in values if signed)}


def by_name(turn):
    groups: dict[str, list[float]] = {}
    for operation, strength in zip(turn.operation.tolist(), turn.strength.tolist(), strict=True):
        groups.setdefault(NAMES[operation], []).append(strength)
    return groups


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("magnitude", [0, 9, 30])
def test_randaugment_draws_torchvisions_operations_and_strengths(magnitude, size):
    policy, space = Policy("randaugment", 3, magnitude), v2.RandAugment()._AUGMENTATION_SPACE
    turns = chosen(policy, size=size)
    assert len(turns) == 3
    for turn in turns:
        groups = by_name(turn)
        assert set(groups) == set(space)
        for name, strengths in groups.items():
            assert set(strengths) == allowed(space, name, 31, magnitude, size)
            assert abs(len(strengths) / 20000 - 1 / 14) < 0.01
            if space[name][1] and magnitude:
                assert abs(sum(value < 0 for value in strengths) / len(strengths) - 0.5) < 0.06
    # The turns are drawn independently.
    same = (turns[0].operation == turns[1].operation).float().mean()
    assert abs(same - 1 / 14) < 0.01


@pytest.mark.parametrize("size", SIZES)
def test_trivialaugment_draws_any_strength_of_torchvisions(size):
    space = v2.TrivialAugmentWide()._AUGMENTATION_SPACE
    (turn,) = chosen(Policy("trivialaugment", 7, 1), size=size)
    groups = by_name(turn)
    assert set(groups) == set(space)
    for name, strengths in groups.items():
        assert set(strengths) == allowed(space, name, 31, None, size)
        assert abs(len(strengths) / 20000 - 1 / 14) < 0.01
    rotations = Counter(abs(value) for value in groups["Rotate"])
    assert max(rotations.values()) < 2.5 * min(rotations.values())


@pytest.mark.parametrize("size", SIZES)
def test_autoaugment_draws_torchvisions_pairs(size):
    theirs = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
    expected, space = theirs._policies, theirs._AUGMENTATION_SPACE
    policy = Policy("autoaugment")
    per_pair = 400
    draws = torch.rand(25 * per_pair, policy.draws, generator=torch.Generator().manual_seed(1))
    draws[:, 0] = (torch.arange(len(draws)) // per_pair + 0.5) / 25  # every pair in turn
    turns = policy.choose(draws, *size)
    for number, pair in enumerate(expected):
        for turn, (name, probability, level) in zip(turns, pair, strict=True):
            place = slice(number * per_pair, (number + 1) * per_pair)
            names = Counter(NAMES[each] for each in turn.operation[place].tolist())
            assert set(names) <= {name, "Identity"}
            assert abs(names[name] / per_pair - probability) < 0.09
            done = turn.operation[place] == NAMES.index(name)
            assert set(turn.strength[place][done].tolist()) <= allowed(space, name, 10, level, size)
    first = Counter((draws[:, 0].double() * 25).long().tolist())
    assert set(first.values()) == {per_pair}


def test_autoaugment_takes_every_pair_equally_often():
    turns = chosen(Policy("autoaugment"))
    done = Counter(NAMES[each] for turn in turns for each in turn.operation.tolist())
    theirs = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)._policies
    expected: Counter[str] = Counter()
    for pair in theirs:
        for name, probability, _ in pair:
            expected[name] += probability / 25
    for name in set(expected) - {"Identity"}:
        assert abs(done[name] / 20000 - expected[name]) < 0.015, name
    for turn in turns:
        signs = turn.strength[turn.operation == NAMES.index("TranslateY")].sign()
        assert abs(signs.mean()) < 0.06


@pytest.mark.parametrize("name", ["randaugment", "trivialaugment", "autoaugment"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_policy_changes_each_image_by_its_own_row(name, channels):
    images, policy = varied(30, channels), Policy(name)
    draws = torch.rand(30, policy.draws, generator=torch.Generator().manual_seed(2))
    found = policy.apply(images, draws)
    for place in range(30):
        one = policy.apply(images[place : place + 1], draws[place : place + 1])
        assert torch.equal(one[0], found[place])
    assert (found != images).flatten(1).any(dim=1).float().mean() > 0.5


def test_no_policy_takes_no_draws():
    assert Policy().draws == Policy("none", 5, 5).draws == 0
