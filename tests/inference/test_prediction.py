"""One pass over a data set equals a loop over its images, whatever the batches and the memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vitscope.data.imageset import ImageSet
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import DataError, EnvironmentFault
from vitscope.inference.classifier import Classifier, load
from vitscope.inference.prediction import predict

CLASSES = ("a", "b", "c")
SIX = Preprocessing(size=(6, 6), channels=3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


def images(count, classes=CLASSES, seed=0):
    draw = np.random.default_rng(seed)
    array = draw.integers(0, 256, (count, 3, 6, 6), dtype=np.uint8)
    labels = draw.integers(0, len(classes), count)
    return ImageSet("made", "test", classes, labels, tuple(map(str, range(count))), array=array)


class Small(nn.Module):
    """Convolution, batch norm, dropout; refuses batches above `most`, as a small memory would."""

    def __init__(self, most=10**9, error=torch.OutOfMemoryError):
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 3)
        )
        self.most, self.error, self.seen = most, error, []

    def forward(self, batch):
        self.seen.append(len(batch))
        if len(batch) > self.most:
            raise self.error("can't allocate memory: a hand-made one")
        return self.layers(batch)


def classifier(network=None, **changes):
    return Classifier(network or Small(), **{"classes": CLASSES, "preprocessing": SIX} | changes)


def plain(model, data):
    """Image by image, from the stored bytes to logits, in float64."""
    model.eval()
    rows = []
    for index in range(len(data)):
        pixels = data.array[index].astype(np.float64) / 255
        mean, std = (np.array(each)[:, None, None] for each in (SIX.mean, SIX.std))
        batch = torch.from_numpy(((pixels - mean) / std)[None]).float()
        with torch.no_grad():
            rows.append(model.network(batch)[0].numpy())
    return np.stack(rows)


def test_equals_a_plain_loop():
    data, model = images(37), classifier()
    predictions = predict(model, data)
    np.testing.assert_allclose(predictions.logits, plain(model, data), atol=1e-5)
    assert predictions.logits.dtype == np.float32
    assert predictions.names == data.names
    assert predictions.classes == CLASSES
    np.testing.assert_array_equal(predictions.labels, data.labels)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60))
def test_is_independent_of_the_batch_size(batch_size):
    data, model = images(23), classifier()
    whole = predict(model, data, batch_size=23).logits
    np.testing.assert_allclose(predict(model, data, batch_size=batch_size).logits, whole, atol=1e-5)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError, RuntimeError])
@pytest.mark.parametrize("most", [1, 2, 3, 5, 7])
def test_halves_what_does_not_fit(most, error):
    data, done = images(23), []
    small = classifier(Small(most, error))
    logits = predict(small, data, batch_size=16, progress=done.append).logits
    np.testing.assert_allclose(logits, predict(classifier(), data).logits, atol=1e-5)
    assert done == [16, 7]
    assert max(size for size in small.network.seen if size <= most) <= most


def test_not_even_one_image_fits():
    model = classifier(Small(0)).train()
    with pytest.raises(EnvironmentFault, match="one image"):
        predict(model, images(4))
    assert model.training


def test_other_errors_of_a_network_pass():
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        predict(classifier(nn.Sequential(nn.Flatten(), nn.Linear(5, 3))), images(4))


def test_every_modules_mode_is_put_back():
    model = classifier().train()
    model.network.layers[1].eval()  # a frozen batch norm
    before = {name: module.training for name, module in model.named_modules()}
    statistics = model.network.layers[1].running_mean.clone()
    predict(model, images(5))
    assert {name: module.training for name, module in model.named_modules()} == before
    assert torch.equal(model.network.layers[1].running_mean, statistics)
    assert all(parameter.grad is None for parameter in model.parameters())
    model.eval()
    predict(model, images(5))
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("a", "x", "b"), "the model does not know the class 'x' of the data"),
        (("a", "b", "c", "d"), "the model does not know the class 'd' of the data"),
        (("a", "A"), "the classes 'a' and 'A' of the data are both the model's 'a'"),
    ],
)
def test_other_classes_are_refused(classes, message):
    with pytest.raises(DataError, match=message):
        predict(classifier(), images(4, classes))


def test_some_of_the_models_classes_in_another_order():
    data, model = images(20, ("c", "a")), classifier()
    predictions = predict(model, data)
    assert predictions.classes == CLASSES
    assert [CLASSES[label] for label in predictions.labels] == [data.classes[label] for label in data.labels]
    np.testing.assert_allclose(predictions.logits, plain(model, data), atol=1e-5)
    assert predictions.provenance.data_digest == data.digest
    assert predictions.names == data.names


def test_a_network_with_other_logits_than_classes():
    network = nn.Sequential(nn.Flatten(), nn.Linear(108, 4))
    with pytest.raises(DataError, match="4 logits for 3 classes"):
        predict(classifier(network), images(4))


def test_a_batch_size_below_one():
    with pytest.raises(DataError, match="batch size"):
        predict(classifier(), images(4), batch_size=0)


def test_provenance_names_checkpoint_and_data(tiny_run):
    model = load(tiny_run / "best.pth")
    known = predict(model, "digits").provenance
    assert known.checkpoint == str(tiny_run / "best.pth")
    assert known.checkpoint_digest == model.digest
    assert (known.data, known.split) == ("digits", "test")
