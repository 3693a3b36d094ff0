"""Infidelity and maximum sensitivity against plain loops over the same perturbations, and their extremes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.oracles.perturbing import infidelity as plain_infidelity
from vitscope.explain.sensitivity import infidelity, max_sensitivity

IMAGES = torch.randn(3, 2, 6, 8, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([1, 0, 2])
NUMBERS = np.array([4, 0, 9])


class Recorder(nn.Module):
    """A small convolutional classifier that remembers what it was given."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4 * 6, 3))
        self.seen = []
        self.eval()

    def forward(self, images):
        self.seen.append(images.clone())
        return self.net(images)


def test_infidelity_equals_the_plain_loops():
    model = Recorder()
    maps = list(np.random.default_rng(1).normal(size=(2, 3, 6, 8)).astype(np.float32))
    found = infidelity(model, IMAGES, maps, TARGETS, numbers=NUMBERS)
    given = {tuple(each.flatten().tolist()) for each in IMAGES}
    perturbed = [
        each for batch in model.seen for each in batch if tuple(each.flatten().tolist()) not in given
    ]
    assert len(perturbed) == 3 * 32  # the two maps share them
    for image in range(3):
        target, changes, sums = int(TARGETS[image]), [], [[], []]
        with torch.no_grad():
            whole = float(model.net(IMAGES[image : image + 1]).softmax(1)[0, target])
        for each in perturbed[image * 32 : image * 32 + 32]:
            square = (each == 0).all(dim=0)
            assert torch.equal(torch.where(square, 0, IMAGES[image]), each)
            with torch.no_grad():
                changes.append(whole - float(model.net(each[None]).softmax(1)[0, target]))
            for method in range(2):
                sums[method].append(float(maps[method][image][square.numpy()].sum()))
        for method in range(2):
            expected = plain_infidelity(changes, sums[method])
            assert found[method, image] == pytest.approx(expected, rel=1e-3, abs=1e-8)


def test_squares_are_squares_of_up_to_half_the_shorter_side():
    model = Recorder()
    infidelity(model, IMAGES[:1], [np.ones((1, 6, 8), np.float32)], TARGETS[:1], numbers=np.array([0]))
    sides = set()
    for each in model.seen[0]:
        rows, columns = (each == 0).all(dim=0).nonzero().T
        side = int(rows.max() - rows.min()) + 1
        assert (int(columns.max() - columns.min()) + 1, len(rows)) == (side, side * side)
        sides.add(side)
    assert sides == {1, 2, 3}


def test_the_scale_of_a_map_does_not_matter_and_0_foretells_nothing():
    maps = np.random.default_rng(1).normal(size=(3, 6, 8)).astype(np.float32)
    one, scaled, opposite, nothing = infidelity(
        Recorder(), IMAGES, [maps, 100 * maps, -maps, 0 * maps], TARGETS, numbers=NUMBERS
    )
    np.testing.assert_allclose(scaled, one, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(opposite, one, rtol=1e-3, atol=1e-9)
    assert (nothing >= one - 1e-9).all()


def test_the_changes_of_a_linear_answer_are_foretold():
    """Near p = 1/2 the probability is linear: w ⊙ x, summed over a square, is how far it falls."""

    class Faint(nn.Module):
        def forward(self, images):
            score = 1e-3 * (images * WEIGHT).sum((1, 2, 3))
            return torch.stack([score, -score], dim=1)

    WEIGHT = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(2))
    truth = (IMAGES * WEIGHT).sum(1).numpy()
    noise = np.random.default_rng(0).normal(size=truth.shape).astype(np.float32)
    right, wrong = infidelity(Faint(), IMAGES, [truth, noise], TARGETS % 2, numbers=NUMBERS)
    assert (right < 1e-3 * wrong).all()


@pytest.mark.parametrize("score", ["infidelity", "sensitivity"])
def test_an_image_s_score_is_its_own_and_nothing_shared_is_drawn(score):
    model = Recorder()
    maps = np.random.default_rng(1).random((3, 6, 8)).astype(np.float32)

    def measure(part, seed=0):
        given = {"numbers": NUMBERS[part], "seed": seed}
        if score == "infidelity":
            return infidelity(model, IMAGES[part], [maps[part]], TARGETS[part], **given)[0]
        return max_sensitivity(
            lambda images, *_: images[:, 0].abs().numpy(), IMAGES[part], TARGETS[part], **given
        )

    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - captum's generator
    whole = measure(slice(None))
    for image in range(3):
        np.testing.assert_allclose(measure(slice(image, image + 1)), whole[image], rtol=1e-4)
    assert np.abs(measure(slice(None), seed=1) - whole).max() > 1e-6
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002


def test_maximum_sensitivity_equals_the_plain_loops():
    calls = []

    def explainer(images, targets, keys):
        calls.append((images.clone(), targets.tolist(), keys.tolist()))
        return (images**2).sum(1).numpy()

    found = max_sensitivity(explainer, IMAGES, TARGETS, numbers=NUMBERS)
    (plain, targets, keys), (near, repeated, near_keys) = calls
    assert torch.equal(plain, IMAGES)
    assert (targets, repeated) == (TARGETS.tolist(), TARGETS.repeat_interleave(10).tolist())
    assert keys == [[4, 0], [0, 0], [9, 0]]
    assert near_keys == [[number, step] for number in (4, 0, 9) for step in range(1, 11)]
    for image in range(3):
        own = (IMAGES[image] ** 2).sum(0)
        largest = 0.0
        for step in range(10):
            neighbour = near[10 * image + step]
            assert 0 < float((neighbour - IMAGES[image]).abs().max()) <= 0.02 + 1e-6
            change = (neighbour**2).sum(0) - own
            largest = max(largest, float(change.square().sum().sqrt() / own.square().sum().sqrt()))
        assert found[image] == pytest.approx(largest, rel=1e-4)


def test_a_map_that_never_changes_has_no_sensitivity():
    found = max_sensitivity(
        lambda images, *_: np.ones((len(images), 2, 2), np.float32), IMAGES, TARGETS, numbers=NUMBERS
    )
    assert found.tolist() == [0, 0, 0]
