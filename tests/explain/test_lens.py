"""The logit lens and rollout by class: against the model's own head, and means by hand."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch

from tests.oracles.smallnets import image_size, timm_net
from vitscope.capture.blocks import find_blocks
from vitscope.capture.tape import capture
from vitscope.errors import CaptureError, InputError, NotFiniteError
from vitscope.explain.class_rollout import ClassMaps, class_rollout
from vitscope.explain.lens import LensRows, logit_lens
from vitscope.explain.rollout import rollout
from vitscope.records.heatmap import Heatmap

SEED = torch.Generator().manual_seed(11)
LABELS = np.array([3, 0, 4])


@pytest.mark.parametrize("kind", ["vit", "distilled", "registers_mean"])
def test_the_last_layer_is_the_model(kind):
    model = timm_net(kind)
    images = torch.randn(3, 3, *image_size(kind), generator=SEED)
    found = logit_lens(model, images, LABELS)
    with torch.no_grad():
        shares = model(images).double().softmax(1).numpy()
    np.testing.assert_allclose(found.truth[-1], shares[range(3), LABELS], atol=1e-6)
    np.testing.assert_allclose(found.final[-1], shares.max(axis=1), atol=1e-6)
    np.testing.assert_array_equal(found.predicted[-1], shares.argmax(axis=1))
    assert found.agrees[-1].all()
    assert found.layers == find_blocks(model).names


def test_each_layer_as_by_hand():
    model = timm_net("vit")
    images = torch.randn(3, 3, 32, 32, generator=SEED)
    found = logit_lens(model, images, LABELS, classes=tuple("abcde"))
    with torch.no_grad():
        last = model(images).argmax(1)
        tokens = model.pos_drop(model._pos_embed(model.patch_embed(images)))
        for layer, block in enumerate(model.blocks):
            tokens = block(tokens)
            shares = model.head(model.norm(tokens)[:, 0]).double().softmax(1)
            np.testing.assert_allclose(found.truth[layer], shares[range(3), LABELS].numpy(), atol=1e-6)
            np.testing.assert_allclose(found.final[layer], shares[range(3), last].numpy(), atol=1e-6)
            np.testing.assert_array_equal(found.predicted[layer], shares.argmax(1).numpy())


def test_batches_give_what_the_whole_does():
    model = timm_net("vit")
    images = torch.randn(3, 3, 32, 32, generator=SEED)
    blocks = find_blocks(model)
    rows = LensRows(blocks)
    with torch.no_grad():
        for part in (slice(0, 2), slice(2, 3)):
            rows.add(blocks.outputs(images[part]), images[part], LABELS[part])
    joined, whole = rows.result("abcde", ("x", "y", "z")), logit_lens(model, images, LABELS)
    np.testing.assert_allclose(joined.truth, whole.truth, atol=1e-6)
    np.testing.assert_array_equal(joined.labels, LABELS)
    assert joined.names == ("x", "y", "z")


def test_what_has_no_lens():
    images = torch.zeros(1, 3, 32, 32)
    with pytest.raises(CaptureError, match="no transformer blocks"):
        logit_lens(timm.create_model("resnet18", channels=(8, 8, 8, 8)).eval(), images, [0])
    model = timm_net("vit")
    with pytest.raises(InputError, match=r"labels in 0 … 4"):
        logit_lens(model, images, [5])
    with pytest.raises(InputError, match="expected 1 labels"):
        logit_lens(model, images, [1, 2])
    with pytest.raises(InputError, match="at least one image"):
        LensRows(find_blocks(model)).result(())
    torch.nn.init.constant_(model.head.bias, torch.nan)
    with pytest.raises(NotFiniteError):
        logit_lens(model, images, [0])


def heatmaps(values):
    return Heatmap(np.asarray(values, dtype=np.float32), method="rollout", options={"fuse": "mean"})


def test_means_by_class_by_hand():
    maps = heatmaps([[[1, 0]], [[0, 1]], [[3, 0]], [[0.5, 0.5]]])
    found = class_rollout(maps, [2, 0, 2, 0], ("ant", "bee", "cat"))
    np.testing.assert_allclose(found.values, [[[0.25, 0.75]], [[2, 0]]])
    assert (found.names, found.targets.tolist(), found.options["images"]) == (("ant", "cat"), [0, 2], [2, 2])
    assert found.method == "rollout, class mean"


def test_a_class_mean_is_the_mean_of_its_rollouts():
    model = timm_net("registers_mean")
    images = torch.randn(4, 3, 48, 48, generator=SEED)
    with torch.no_grad(), capture(model) as tape:
        model(images)
    maps = rollout(tape.attention())
    sums = ClassMaps(("a", "b"))
    for part in (slice(0, 3), slice(3, 4)):
        sums.add(heatmaps(maps.values[part]), np.array([0, 1, 0, 0])[part])
    np.testing.assert_allclose(sums.result().values[0], maps.values[[0, 2, 3]].mean(axis=0), rtol=1e-6)


def test_maps_that_do_not_fit():
    with pytest.raises(InputError, match="at least one map"):
        ClassMaps(("a",)).result()
    with pytest.raises(InputError, match="1 labels"):
        class_rollout(heatmaps([[[1, 0]]]), [1], ("a",))
    sums = ClassMaps(("a",))
    sums.add(heatmaps([[[1, 0]]]), np.array([0]))
    with pytest.raises(InputError, match="expected maps of"):
        sums.add(heatmaps([[[1], [0]]]), np.array([0]))
