"""Embeddings that tests draw: classes in clouds, every fourth image answered wrong."""

from __future__ import annotations

import numpy as np

from vitscope.records.embedding import Embedding


def made(count, classes):
    draw = np.random.default_rng(0)
    labels = np.arange(count) % len(classes)
    places = draw.normal(size=(len(classes), 2)) * 2
    predicted = np.where(np.arange(count) % 4 == 0, (labels + 1) % len(classes), labels)
    names = tuple(f"{index}.png" for index in range(count))
    points = places[labels] + 0.3 * draw.normal(size=(count, 2))
    about = {
        "seed": 0,
        "trustworthiness": 0.9,
        "trustworthiness_neighbors": 12,
        "trustworthiness_images": count,
    }
    return Embedding(
        points, labels, predicted, np.full(count, 0.5), tuple(classes), names, "pca", about=about
    )
