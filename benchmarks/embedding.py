"""PCA, openTSNE, UMAP and scikit-learn's t-SNE on the same features: seconds and trustworthiness.

    python benchmarks/embedding.py --images 60000 --width 192 --sklearn 10000

Features are Gaussian clusters on a low-dimensional subspace with noise, the same for all methods.
scikit-learn's t-SNE takes hours at 60,000 on a few cores, so that it only runs up to `--sklearn` images; the
output says so.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

from vitscope.embedding.projection import project
from vitscope.embedding.trust import trust


def features(images: int, width: int, classes: int = 100) -> np.ndarray:
    draw = np.random.default_rng(0)
    latent = draw.normal(size=(classes, 24))[np.arange(images) % classes] * 3 + draw.normal(size=(images, 24))
    return (latent @ draw.normal(size=(24, width)) + draw.normal(size=(images, width))).astype(np.float32)


def tell(name: str, values: np.ndarray, make) -> None:
    began = time.perf_counter()
    points = make(values)
    spent = time.perf_counter() - began
    found = trust(values, points)
    print(f"{name:24} {len(values):7,} images {spent:8.1f} s  trustworthiness {found.value:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--sklearn", type=int, default=10_000, help="most images for scikit-learn's t-SNE")
    asked = parser.parse_args()
    values = features(asked.images, asked.width)
    print(f"{asked.images:,} x {asked.width} features, {os.cpu_count()} cores, k = 12, of 5,000 drawn")
    for method in ("pca", "tsne", "umap"):
        tell(method, values, lambda each, method=method: project(each, method).points)
    if asked.images > asked.sklearn:
        print(f"scikit-learn's t-SNE: left out above {asked.sklearn:,} images")
        return
    from sklearn.manifold import TSNE

    tell("scikit-learn t-SNE", values, lambda each: TSNE(init="pca", random_state=0).fit_transform(each))


if __name__ == "__main__":
    main()
