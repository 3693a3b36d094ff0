"""Several methods scored at once: their baselines, what a score depends on, and what is left behind."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch

from vitscope.errors import CaptureError, InputError, UsageError
from vitscope.explain import faithfulness as module
from vitscope.explain.faithfulness import applicable_methods, faithfulness
from vitscope.explain.methods import explain
from vitscope.explain.perturbation import area, deletion, on_pixels, pixel_order
from vitscope.records.faithfulness import METRICS, Faithfulness

METHODS = ("relevance", "gradient-x-input")
FAST = ("deletion", "insertion", "road", "infidelity")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return timm.models.VisionTransformer(
        img_size=16, patch_size=4, embed_dim=24, depth=2, num_heads=2, num_classes=5
    ).eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def record(model, images):
    return faithfulness(model, images, methods=METHODS)


def trace(model):
    return (
        {name: value.clone() for name, value in model.state_dict().items()},
        [(each.grad, each.requires_grad) for each in model.parameters()],
        [(each.training, len(each._forward_hooks), len(each._forward_pre_hooks)) for each in model.modules()],
    )


def test_methods_come_first_and_noise_has_every_grid(record):
    assert record.methods == (*METHODS, "random", "random 16x16", "centre")
    assert record.grids == ((4, 4), (16, 16), (4, 4), (16, 16), (16, 16))
    assert record.metrics == tuple(METRICS)
    assert record.scores.shape == (5, 7, 3)
    assert record.baseline_of("relevance", "random") == "random"
    assert record.baseline_of("gradient-x-input", "random") == "random 16x16"
    assert record.baseline_of("relevance", "centre") == "centre"


def test_scores_are_in_their_ranges_and_come_from_the_curves(record):
    scores = dict(zip(record.metrics, record.scores.transpose(1, 0, 2), strict=True))
    for name in ("deletion", "insertion"):
        np.testing.assert_array_equal(area(record.fractions[name], record.curves[name]), scores[name])
        assert record.curves[name].shape == (5, 3, 11)
    expected = (record.curves["road_lerf"] - record.curves["road_morf"]).mean(axis=2) / 2
    np.testing.assert_array_equal(scores["road"], expected)
    np.testing.assert_allclose(
        record.curves["deletion"][..., 0], np.tile(record.confidence, (5, 1)), rtol=1e-5
    )
    np.testing.assert_allclose(
        record.curves["insertion"][..., -1], np.tile(record.confidence, (5, 1)), rtol=1e-5
    )
    assert (scores["max_sensitivity"][-1] == 0).all()
    np.testing.assert_allclose(scores["randomisation"][-1], 1)
    np.testing.assert_allclose(scores["randomisation_ssim"][-1], 1)
    assert (scores["max_sensitivity"][2:4] > 0.5).all()
    assert (np.abs(scores["randomisation"][2:4]) < 0.3).all()


def test_scores_are_of_the_predicted_class_and_of_the_method_s_own_maps(record, model, images):
    targets = model(images).argmax(dim=1)
    assert record.targets.tolist() == targets.tolist()
    maps = explain(model, images, method="relevance", targets=targets).values
    fractions, curves = deletion(model, images, pixel_order(on_pixels(maps, (16, 16)))[None], targets)
    np.testing.assert_allclose(record.scores[0, 0], area(fractions, curves)[0], rtol=1e-6)


def test_other_images_other_methods_and_other_metrics_do_not_matter(record, model, images):
    one = faithfulness(model, images[:1], methods=METHODS[:1], metrics=FAST)
    np.testing.assert_allclose(one.scores[0, :, 0], record.scores[0, :4, 0], rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(one.scores[-2:, :, 0], record.scores[[2, 4], :4, 0], rtol=2e-3, atol=1e-6)


def test_the_seed_decides(record, model, images):
    again = faithfulness(model, images, methods=METHODS, metrics=FAST)
    np.testing.assert_array_equal(again.scores, record.scores[:, :4])
    other = faithfulness(model, images, methods=METHODS[:1], metrics=FAST, seed=1)
    assert np.abs(other.scores[1] - record.scores[2, :4]).max() > 1e-4
    assert other.options["seed"] == 1


def test_nothing_is_left_behind(model, images):
    before, state = trace(model), torch.get_rng_state()
    given = images.clone()
    faithfulness(model, given[:1], methods=["relevance", "gradient-x-input"])
    after = trace(model)
    assert all(torch.equal(value, after[0][name]) for name, value in before[0].items())
    assert before[1:] == after[1:]
    assert torch.equal(given, images)
    assert torch.equal(torch.get_rng_state(), state)


def test_checks_are_made_on_some_images_spread_evenly(model, images, monkeypatch):
    monkeypatch.setattr(module, "CHECKED", 2)
    done = []
    record = faithfulness(
        *(model, images), methods=["rollout"], metrics=["deletion", "max_sensitivity"], progress=done.append
    )
    assert record.measured.tolist() == [[True] * 3, [True, False, True]]
    assert sum(done) == 3 + 2


def test_targets_and_options(model, images):
    targets = torch.tensor([1, 1, 4])
    record = faithfulness(
        *(model, images[:, :, :, :]), methods=["raw"], metrics=["deletion"], targets=targets,
        options={"raw": {"layer": 0}},
    )  # fmt: skip
    assert record.targets.tolist() == [1, 1, 4]
    assert record.options["method_options"] == {"raw": {"layer": 0}}
    last = faithfulness(model, images, methods=["raw"], metrics=["deletion"], targets=targets)
    assert np.abs(record.scores[0] - last.scores[0]).max() > 1e-6
    np.testing.assert_array_equal(record.scores[1:], last.scores[1:])


def test_methods_that_apply(model, images):
    found, refused = applicable_methods(model, images)
    assert {"rollout", "relevance", "gradient-x-input"} <= set(found)
    assert refused["flow"].startswith("takes long")
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 3)).eval()
    found, refused = applicable_methods(plain, images)
    assert "gradient-x-input" in found
    assert "no attention" in refused["rollout"]


def test_a_model_in_training_is_refused_before_it_runs(images):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(768), torch.nn.Linear(768, 3))
    with pytest.raises(UsageError, match="training mode"):
        faithfulness(model, images, methods=["gradient-x-input"])
    assert model[1].num_batches_tracked == 0


def test_bad_input(model, images):
    with pytest.raises(UsageError, match="unknown metric 'delition'"):
        faithfulness(model, images, methods=METHODS, metrics=["delition"])
    with pytest.raises(UsageError, match="at least one metric"):
        faithfulness(model, images, methods=METHODS, metrics=[])
    with pytest.raises(UsageError, match="none but baselines"):
        faithfulness(model, images, methods=["random", "centre"])
    with pytest.raises(UsageError, match="unknown method"):
        faithfulness(model, images, methods=["relevanse"])
    with pytest.raises(InputError, match="expected images"):
        faithfulness(model, images[0], methods=METHODS)
    with pytest.raises(InputError, match="got 7"):
        faithfulness(model, images, methods=METHODS, targets=torch.tensor([0, 1, 7]))
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 3)).eval()
    with pytest.raises(CaptureError):
        faithfulness(plain, images, methods=["rollout"], metrics=["deletion"])


def test_the_record_is_saved_whole(record, tmp_path):
    loaded = Faithfulness.load(record.save(tmp_path / "faithfulness.npz"))
    assert (loaded.methods, loaded.metrics, loaded.grids) == (record.methods, record.metrics, record.grids)
    np.testing.assert_array_equal(loaded.scores, record.scores)
    assert loaded.options == record.options
    for name, curve in record.curves.items():
        np.testing.assert_array_equal(loaded.curves[name], curve)
        np.testing.assert_array_equal(loaded.fractions[name], record.fractions[name])
