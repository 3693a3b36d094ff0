"""Features are what the last linear layer is given; hooks go, and the network runs once."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torchvision.models import VisionTransformer

from tests.oracles.foreign import torchvision_model
from tests.oracles.smallnets import image_size, timm_net
from vitscope.data.imageset import ImageSet
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import EnvironmentFault, InputError
from vitscope.inference.classifier import Classifier, load
from vitscope.inference.prediction import predict


def classifier(network, side=32, classes=5):
    size = side if isinstance(side, tuple) else (side, side)
    form = Preprocessing(size, 3, (0.5,) * 3, (0.5,) * 3)
    return Classifier(network, classes=tuple("abcdefghij"[:classes]), preprocessing=form)


def images(model, count=7):
    draw = np.random.default_rng(0)
    array = draw.integers(0, 256, (count, 3, *model.preprocessing.size), dtype=np.uint8)
    labels = draw.integers(0, len(model.classes), count)
    return ImageSet("made", "test", model.classes, labels, tuple(map(str, range(count))), array=array)


def hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@pytest.mark.parametrize("kind", ["vit", "deit3", "registers_mean", "beit", "eva02", "hybrid"])
def test_timms_own_features(kind):
    model = classifier(timm_net(kind), image_size(kind))
    data = images(model)
    predictions = predict(model, data, features=True, batch_size=3)
    batch = model.prepare(data.array)
    with torch.no_grad():
        expected = model.network.forward_head(model.network.forward_features(batch), pre_logits=True)
    np.testing.assert_allclose(predictions.features, expected.numpy(), atol=1e-5)
    assert predictions.features.dtype == np.float32
    np.testing.assert_array_equal(predictions.logits, predict(model, data, batch_size=3).logits)
    assert hooks(model) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("resnet18", "fc"),
        ("mobilenet_v3_small", "classifier.3"),
        ("swin_t", "head"),
        ("alexnet", "classifier.6"),
    ],
)
def test_the_head_makes_the_logits_of_the_features(name, head):
    model = classifier(torchvision_model(name, num_classes=5), 224)
    predictions = predict(model, images(model, 2), features=True)
    with torch.no_grad():
        again = model.network.get_submodule(head)(torch.from_numpy(predictions.features)).numpy()
    np.testing.assert_allclose(again, predictions.logits, atol=1e-5)


def test_torchvisions_transformer():
    network = VisionTransformer(32, 8, 2, 4, hidden_dim=32, mlp_dim=64, num_classes=5)
    nn.init.normal_(network.heads.head.weight)
    model = classifier(network)
    predictions = predict(model, images(model), features=True)
    with torch.no_grad():
        again = network.heads(torch.from_numpy(predictions.features)).numpy()
    np.testing.assert_allclose(again, predictions.logits, atol=1e-5)


def test_a_checkpoints_features_are_saved_with_its_predictions(tiny_run, tmp_path):
    from vitscope.records.predictions import Predictions

    predictions = predict(load(tiny_run / "best.pth"), "digits", features=True)
    assert predictions.features.shape == (len(predictions), 24)
    loaded = Predictions.load(predictions.save(tmp_path / "p"))
    np.testing.assert_array_equal(loaded.features, predictions.features)
    assert predict(load(tiny_run / "best.pth"), "digits").features is None


class Counted(nn.Module):
    """Counts its passes; refuses batches above two."""

    def __init__(self, most=2):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.ReLU())
        self.head = nn.Linear(6, 5)
        self.seen, self.most = [], most

    def forward(self, batch):
        self.seen.append(len(batch))
        logits = self.head(self.body(batch))
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("by hand")
        return logits


def test_one_pass_an_image_also_when_memory_ends():
    model = classifier(Counted(), 4)
    predictions = predict(model, images(model, 7), features=True)
    assert sum(size for size in model.network.seen if size <= 2) == 7
    whole = classifier(Counted(99), 4)
    expected = predict(whole, images(whole, 7), features=True).features
    np.testing.assert_allclose(predictions.features, expected, atol=1e-6)
    assert (predictions.features >= 0).all()
    model.network.most = 0
    with pytest.raises(EnvironmentFault):
        predict(model, images(model, 7), features=True)
    assert hooks(model) == 0


class Shared(nn.Module):
    """A layer of as many outputs as classes runs also before the head, and after it in vain."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(48, 5)
        self.head = nn.Linear(5, 5)
        self.aside = nn.Linear(5, 5)

    def forward(self, batch):
        hidden = self.first(batch.flatten(1)).relu()
        logits = self.head(hidden)
        self.aside(logits)
        return logits


def test_the_layer_whose_output_the_logits_are():
    model = classifier(Shared(), 4)
    predictions = predict(model, images(model), features=True)
    with torch.no_grad():
        again = model.network.head(torch.from_numpy(predictions.features)).numpy()
    np.testing.assert_allclose(again, predictions.logits, atol=1e-6)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(3, 5, 4), nn.Flatten()),
        nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.Softmax(dim=1)),
        nn.Sequential(nn.Flatten(2), nn.Linear(16, 5), nn.Flatten(), nn.Linear(15, 6)),
    ],
    ids=["convolution", "probabilities", "other width"],
)
def test_networks_without_a_last_linear_layer(network):
    model = classifier(network, 4)
    with pytest.raises(InputError, match="no linear layer whose output is the logits"):
        predict(model, images(model), features=True)
    assert hooks(model) == 0


def test_two_heads_averaged_have_no_one_feature():
    model = classifier(
        timm.create_model("deit_tiny_distilled_patch16_224", img_size=32, depth=1, num_classes=5), 32
    )
    with pytest.raises(InputError, match="no features to keep"):
        predict(model, images(model), features=True)
