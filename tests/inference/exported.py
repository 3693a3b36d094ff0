"""Models as if they had been loaded, and logits that no export has seen."""

from __future__ import annotations

import numpy as np
import torch

from vitscope.data.preprocessing import Preprocessing
from vitscope.inference.classifier import Classifier
from vitscope.models.registry import build_model, resolve_options


def untrained(name, *, image_size=32, channels=3, **options):
    """A model of vitscope as if it had been loaded, with drawn weights and names that need escaping."""
    form = {"classes": 3, "image_size": image_size, "channels": channels}
    resolved = resolve_options(name, form | options)
    torch.manual_seed(0)
    model = Classifier(
        build_model(name, resolved),
        classes=("çat", "[/red]", "$\\frac"),
        preprocessing=Preprocessing((image_size,) * 2, channels, (0.4,) * channels, (0.2,) * channels),
        name=name,
    )
    model.architecture, model.options = f"vitscope:{name}", resolved
    return model.eval()


def logits_of(network, model, count=4, seed=3):
    """Logits of pixels that the export has not seen, scaled by hand."""
    form = model.preprocessing
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (count, form.channels, *form.size)).astype(np.float32) / 255
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (form.mean, form.std))
    with torch.no_grad():
        return network(torch.from_numpy((pixels - mean) / std))
