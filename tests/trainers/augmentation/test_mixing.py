"""Mixup and CutMix against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.oracles.augmenting import mixed
from vitscope.trainers.augmentation.mixing import Mixing
from vitscope.trainers.sections import AugmentSettings


def images(count, channels=3, height=8, width=6):
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(count))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([(0.8, 0.0), (0.0, 1.0), (0.8, 1.0), (0.2, 0.3)]),
    st.sampled_from([1.0, 0.5]),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_a_mix_equals_a_plain_loop(alphas, probability, height, width, channels, seed):
    mix = Mixing(*alphas, probability).draw(seed, 1, 2, 7, (height, width))
    own = images(7, channels, height, width)
    found = mix.apply(own, own[mix.partner])
    for place in range(7):
        partner, weight, box = own[mix.partner[place]], float(mix.weight[place]), mix.box[place].tolist()
        expected = mixed(own[place].double().numpy(), partner.double().numpy(), weight, box)
        np.testing.assert_allclose(found[place].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("mixing", [Mixing(0.8), Mixing(0.0, 1.0), Mixing(0.4, 0.7, 0.6)])
def test_the_share_is_that_of_the_own_pixels(mixing):
    mix = mixing.draw(3, 4, 5, 400, (7, 9))
    own, other = torch.ones(400, 1, 7, 9, dtype=torch.float64), torch.zeros(400, 1, 7, 9, dtype=torch.float64)
    # Own pixels are 1 and the partner's 0, so the mean is the share of what is left of the own image.
    share = mix.apply(own, other).mean(dim=(1, 2, 3))
    torch.testing.assert_close(mix.share.double(), share, atol=1e-7, rtol=0)
    cut = (mix.box[:, 2:] > mix.box[:, :2]).all(dim=1)
    assert torch.equal(mix.share[cut], (mix.apply(own, other).sum(dim=(1, 2, 3))[cut] / 63).float())


@pytest.mark.parametrize("alpha", [0.2, 0.8, 1.0, 4.0])
def test_mixups_weights_have_the_betas_distribution(alpha):
    mix = Mixing(alpha).draw(1, 0, 0, 3000, (8, 8))
    assert stats.kstest(mix.weight.double().numpy(), stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    assert torch.equal(mix.share, mix.weight)
    assert (mix.box[:, :2] == mix.box[:, 2:]).any(dim=1).all()


def test_cutmixs_boxes_have_the_drawn_area_and_any_centre():
    mix = Mixing(cutmix=1.0).draw(2, 0, 0, 3000, (64, 48))
    assert (mix.weight == 1).all()
    inner = (mix.box[:, :2] > 0).all(dim=1) & (mix.box[:, 2:] < torch.tensor([48, 64])).all(dim=1)
    width, height = (mix.box[:, 2:] - mix.box[:, :2]).double().unbind(1)
    assert (width[inner] / 48 - height[inner] / 64).abs().max() <= 2 / 48 + 2 / 64
    middle = (mix.box[inner][:, :2] + mix.box[inner][:, 2:]).double().mean(dim=0)
    assert (middle - torch.tensor([48, 64])).abs().max() < 3  # twice the centre of the images
    assert (mix.box >= 0).all()
    assert (mix.box[:, 2:] <= torch.tensor([48, 64])).all()
    # A uniform kept share and a clipped box: the mean, by the same definition in NumPy.
    random = np.random.default_rng(0)
    half = 0.5 * np.sqrt(1 - random.random(200000))[:, None] * [48, 64]
    centre = random.random((200000, 2)) * [48, 64]
    sides = np.minimum(centre + half, [48, 64]) - np.maximum(centre - half, 0)
    assert abs(mix.share.mean() - (1 - sides.prod(axis=1).mean() / 48 / 64)) < 0.03


def test_both_are_taken_evenly_and_as_often_as_asked():
    mix = Mixing(0.8, 1.0, 0.6).draw(5, 0, 0, 4000, (64, 64))
    blended, cut = mix.weight < 1, (mix.box[:, 2:] > mix.box[:, :2]).all(dim=1)
    assert not (blended & cut).any()
    assert abs(blended.float().mean() - 0.3) < 0.03
    assert abs(cut.float().mean() - 0.3) < 0.03  # a few boxes are smaller than two pixels
    alone = ~blended & ~cut
    assert (mix.share[alone] == 1).all()


def test_partners_are_a_permutation_and_rows_stay_themselves():
    mixing = Mixing(0.8, 1.0)
    mix = mixing.draw(0, 1, 2, 50, (8, 8))
    assert sorted(mix.partner.tolist()) == list(range(50))
    own = images(50)
    whole = mix.apply(own, own[mix.partner])
    rows = torch.tensor([3, 49, 0, 17])
    part = mix.take(rows)
    assert torch.equal(part.apply(own[rows], own[part.partner]), whole[rows])
    assert torch.equal(part.share, mix.share[rows])


def test_a_mix_is_a_function_of_seed_epoch_and_step():
    state = torch.get_rng_state()
    mixing = Mixing(0.8, 1.0)
    first, again = (mixing.draw(1, 2, 3, 20, (8, 8)) for _ in range(2))
    for name in ("partner", "share", "weight", "box"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    for key in [(2, 2, 3), (1, 3, 3), (1, 2, 4)]:
        assert not torch.equal(mixing.draw(*key, 20, (8, 8)).share, first.share)
    assert torch.equal(torch.get_rng_state(), state)


def test_unmixed_images_stay_as_they_are_bit_for_bit():
    own = images(60)
    mix = Mixing(0.8, 1.0, 0.3).draw(7, 0, 0, 60, (8, 6))
    found = mix.apply(own, own[mix.partner])
    assert torch.equal(found[mix.share == 1], own[mix.share == 1])
    half = own.to(torch.bfloat16)
    assert mix.apply(half, half[mix.partner]).dtype == torch.bfloat16


def test_settings_and_what_is_off():
    assert Mixing.from_settings(AugmentSettings(mixup=0.3, mix_probability=0.5)) == Mixing(0.3, 0.0, 0.5)
    for off in (Mixing(), Mixing(1.0, 1.0, 0.0)):
        assert not off.active
        assert off.draw(0, 0, 0, 8, (4, 4)) is None
    one = Mixing(0.5).draw(0, 0, 0, 1, (4, 4))  # a batch of one image has no other partner
    own = images(1)
    torch.testing.assert_close(one.apply(own, own[one.partner]), own)
