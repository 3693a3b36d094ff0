"""PCA, openTSNE, UMAP and scikit-learn's t-SNE on the same features: seconds and trustworthiness.

    OMP_NUM_THREADS=1 python benchmarks/embedding.py --images 2000 10000 60000 --sklearn 60000

Features are Gaussian clusters on a subspace of 24 dimensions with noise in all, 100 classes, the same for all
methods. Everything runs on one core. The clock's seconds stand beside the processor's, which mean something
on a machine that does other things too. What UMAP compiles, other code for few images than for many, is
compiled before, and told on lines of its own. scikit-learn's t-SNE is given the first 50 principal
components, as its documentation asks for and as ours is; it runs up to `--sklearn` images, and
what was left out is said. Trustworthiness is of the
192 features, k = 12, of 5,000 images drawn.

Measured on 26 November 2026 on an AMD EPYC that did other things too, one thread; Python 3.11.7, NumPy 2.4.6,
scikit-learn 1.9.1, openTSNE 1.0.4, umap-learn 0.5.12, numba 0.68.1. Seconds of the processor, and
trustworthiness:

    192 features           2,000 images       10,000 images       60,000 images
    PCA                    0.0 s  0.7337       0.0 s  0.7213        0.2 s  0.7371
    t-SNE (openTSNE)      11.3 s  0.9998      66.7 s  0.9986      202.6 s  0.9982
    UMAP                  11.7 s  0.9993      17.2 s  0.9975       45.4 s  0.9973
    t-SNE, scikit-learn   14.3 s  0.9998      96.0 s  0.9986    1,238.8 s  0.9982

All of one run but UMAP's of 10,000 images, into which that run's compiling fell; it is of a second run.
By the clock, at 60,000 images: 1.2, 452.7, 46.4 and 1,377.4 s.
"""

from __future__ import annotations

import argparse
import platform
import time
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from vitscope.embedding.projection import METHODS, project
from vitscope.embedding.trust import trust

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Make = Callable[[NDArray[np.float32]], NDArray[np.floating]]

_LIBRARIES = ("numpy", "scikit-learn", "openTSNE", "umap-learn", "numba")


def features(images: int, width: int, classes: int = 100) -> NDArray[np.float32]:
    """Return clusters `[image, feature]`."""
    draw = np.random.default_rng(0)
    latent = draw.normal(size=(classes, 24))[np.arange(images) % classes] * 3 + draw.normal(size=(images, 24))
    return (latent @ draw.normal(size=(24, width)) + draw.normal(size=(images, width))).astype(np.float32)


def plain(values: NDArray[np.float32]) -> NDArray[np.floating]:
    """Return scikit-learn's t-SNE of the first 50 principal components, as its documentation says."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    narrow = PCA(50, random_state=0).fit_transform(values)
    return TSNE(init="pca", random_state=0, n_jobs=1).fit_transform(narrow)


def tell(name: str, values: NDArray[np.float32], make: Make) -> None:
    """Print what a method takes, and how far to trust it."""
    clock, used = time.perf_counter(), time.process_time()
    points = make(values)
    clock, used = time.perf_counter() - clock, time.process_time() - used
    found = trust(values, points)
    print(
        f"{name:20} {len(values):7,} images {clock:9.1f} s {used:9.1f} s of the processor   "
        f"trustworthiness {found.value:.4f}",
        flush=True,
    )


def main() -> None:
    """Run all methods at each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[2000, 10_000, 60_000], help="sizes")
    parser.add_argument("--width", type=int, default=192, help="features an image")
    parser.add_argument("--sklearn", type=int, default=10_000, help="most images for scikit-learn's t-SNE")
    asked = parser.parse_args()
    versions = ", ".join(f"{each} {metadata.version(each)}" for each in _LIBRARIES)
    print(f"Python {platform.python_version()}, {versions}; {asked.width} features, k = 12")
    for few in (200, 5000):
        tell("umap, compiling", features(few, asked.width), lambda each: project(each, "umap").points)
    for images in asked.images:
        values = features(images, asked.width)
        for method in METHODS:
            tell(method, values, lambda each, method=method: project(each, method).points)
        if images <= asked.sklearn:
            tell("scikit-learn t-SNE", values, plain)
        else:
            print(
                f"{'scikit-learn t-SNE':20} {images:7,} images: left out, above --sklearn {asked.sklearn:,}"
            )


if __name__ == "__main__":
    main()
