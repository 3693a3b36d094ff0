"""One pass for everything: equal to each part alone, in any batches, and no trace left."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from transformers import Dinov2Config, Dinov2ForImageClassification

from tests.oracles.inspecting import minibatch_cka
from tests.oracles.smallnets import image_size, timm_net
from vitscope.analysis.similarity import cka
from vitscope.capture.blocks import find_layers
from vitscope.capture.tape import capture
from vitscope.errors import CaptureError, NotFiniteError, UsageError
from vitscope.explain.class_rollout import class_rollout
from vitscope.explain.grams import gram_matrices, layer_grams
from vitscope.explain.heads import head_statistics
from vitscope.explain.inspection import Batch, inspect_model
from vitscope.explain.lens import logit_lens
from vitscope.explain.plan import PARTS, plan_inspection
from vitscope.explain.rollout import rollout
from vitscope.inference.hf_source import HuggingFaceNetwork

CLASSES = tuple("abcde")
LABELS = np.array([0, 3, 3, 1, 0, 2, 4, 4, 1])


def images_of(kind):
    return torch.randn(len(LABELS), 3, *image_size(kind), generator=torch.Generator().manual_seed(2))


def small_resnet():
    torch.manual_seed(0)
    return timm.create_model("resnet18", channels=(8, 8, 8, 8), num_classes=5).eval()


@pytest.mark.parametrize("kind", ["wide", "registers"])
def test_one_pass_is_each_part_alone(kind):
    model, images = timm_net(kind), images_of(kind)
    plan = plan_inspection(model, images[:1])
    assert plan.parts == PARTS
    assert plan.cost > 0
    done = []
    batches = [Batch(images[part], LABELS[part]) for part in (slice(0, 5), slice(5, 9))]
    found = inspect_model(model, batches, plan, classes=CLASSES, progress=done.append)
    with torch.no_grad(), capture(model) as tape:
        model(images)
    attention = tape.attention()
    heads = head_statistics(attention, size=image_size(kind))
    for name in heads.means:
        np.testing.assert_allclose(found.heads.means[name], heads.means[name], rtol=1e-4)
    maps = class_rollout(rollout(attention), LABELS, CLASSES)
    np.testing.assert_allclose(found.class_maps.values, maps.values, atol=1e-6)
    lens = logit_lens(model, images, LABELS)
    np.testing.assert_allclose(found.lens.truth, lens.truth, atol=1e-5)
    alone = layer_grams(model, [batch.images for batch in batches])
    np.testing.assert_allclose(cka(found.grams).values, cka(alone).values, atol=1e-5)
    assert found.positions is not None
    assert found.filters is not None
    assert done == [5, 4]


def test_cka_is_that_of_the_layers_outputs():
    model, images = timm_net("wide"), images_of("wide")
    layers = find_layers(model)
    with torch.no_grad():
        outputs = [tokens.double().flatten(1) for tokens in layers.outputs(images)]
    split = [[part.tolist() for part in (tokens[:5], tokens[5:])] for tokens in outputs]
    grams = layer_grams(model, [images[:5], images[5:]], name="wide")
    assert cka(grams).values[0, 1] == pytest.approx(minibatch_cka(*split), abs=1e-4)
    assert (grams.layers, grams.model, len(grams)) == (layers.names, "wide", 9)


def test_two_models_on_the_same_images():
    model, other = timm_net("wide"), small_resnet()
    images, layers = images_of("wide"), find_layers(other)
    plan = plan_inspection(model, images[:1], parts=("cka",))
    batches = [Batch(images, LABELS, other=images)]
    found = inspect_model(model, batches, plan, classes=CLASSES, other=(other, layers))
    values = cka(found.grams, found.other_grams).values
    assert values.shape == (2, 8)
    alone = cka(layer_grams(other, [images]), layer_grams(model, [images])).values
    np.testing.assert_allclose(values, alone.T, atol=1e-5)
    assert found.heads is found.lens is found.class_maps is found.positions is found.filters is None


def test_a_network_of_convolutions_has_filters_and_cka_alone():
    model, images = small_resnet(), images_of("wide")
    plan = plan_inspection(model, images[:1])
    assert plan.parts == ("filters", "cka")
    assert set(plan.absent) == {"heads", "class-rollout", "positions", "lens"}
    assert plan.absent["heads"] == "this model has no attention"
    found = inspect_model(model, [Batch(images, LABELS)], plan, classes=CLASSES)
    assert (found.filters.kind, len(found.grams.layers)) == ("kernels", 8)
    assert found.absent == plan.absent
    with pytest.raises(CaptureError, match="no attention"):
        plan_inspection(model, images[:1], parts=("heads",), strict=True)


def test_what_heads_do_is_independent_of_the_head_that_reads_them():
    """DINOv2's classifier reads the class token and the mean: no rollout has a row to start from."""
    config = Dinov2Config(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8, num_labels=5
    )
    model, images = HuggingFaceNetwork(Dinov2ForImageClassification(config)).eval(), torch.zeros(4, 3, 16, 16)
    plan = plan_inspection(model, images[:1])
    assert plan.parts == ("heads", "positions", "filters", "lens", "cka")
    assert "neither a class token alone" in plan.absent["class-rollout"]
    found = inspect_model(model, [Batch(images, LABELS[:4])], plan, classes=CLASSES)
    assert list(found.heads.means) == ["entropy", "distance", "pixel_distance"]


def test_nothing_is_left_behind():
    model, images = timm_net("wide"), images_of("wide")
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    plan = plan_inspection(model, images[:1])
    inspect_model(model, [Batch(images, LABELS)], plan, classes=CLASSES)
    with pytest.raises(NotFiniteError):
        inspect_model(model, [Batch(images * torch.nan, LABELS)], plan, classes=CLASSES)
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())
    assert all(not module.training for module in model.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])


def test_requests_that_make_no_sense():
    model, images = timm_net("wide"), images_of("wide")
    with pytest.raises(UsageError, match="no part 'head'"):
        plan_inspection(model, images[:1], parts=("head",))
    with pytest.raises(UsageError, match="training mode"):
        plan_inspection(timm_net("wide").train(), images[:1])


def test_features_that_are_not_finite_or_all_alike():
    with pytest.raises(NotFiniteError):
        gram_matrices([torch.full((4, 2), torch.inf)])
    alike = torch.full((4, 1000), 0.1) + torch.rand(1000, generator=torch.Generator().manual_seed(0))
    assert not gram_matrices([alike]).any()
