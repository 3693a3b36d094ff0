"""Projections of features to the plane: PCA, t-SNE and UMAP, seeded."""

from __future__ import annotations

import warnings
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from vitscope.embedding.components import check_finite, principal_components
from vitscope.errors import EnvironmentFault, InputError, NotFiniteError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["METHODS", "MethodName", "Projection", "check_method", "project"]

MethodName = Literal["pca", "tsne", "umap"]
METHODS: tuple[MethodName, ...] = ("pca", "tsne", "umap")
"""The methods by the names that a user types."""

_LARGEST = 1e17  # whose square, summed over some thousand features, is finite in single precision
_WIDTH = 50  # principal components that t-SNE and UMAP are given of wider features
_FEWEST = 5


class Projection(NamedTuple):
    """Points `[image, 2]`, float64, and what made them, as JSON can hold it."""

    points: NDArray[np.float64]
    about: dict[str, Any]


def check_method(method: str) -> None:
    """Refuse a method that is not there, before any long work.

    Raises:
        UsageError: There is no such method.
        EnvironmentFault: Its package is not installed.
    """
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}", hint=f"there are {', '.join(METHODS)}")
    if method == "umap" and find_spec("umap") is None:
        raise EnvironmentFault("UMAP needs umap-learn", hint="pip install 'vitscope[embed]'")


def project(
    features: NDArray[np.floating],
    method: MethodName = "tsne",
    *,
    seed: int = 0,
    perplexity: float = 30.0,
    neighbors: int = 15,
) -> Projection:
    """Project features to the plane.

    PCA: the first two principal components, each with the sign that makes its largest loading positive.
    t-SNE: openTSNE where it is installed, scikit-learn otherwise, from a PCA. UMAP: umap-learn. The latter
    two are given the first 50 principal components of wider features, as is usual. Features mapped to memory
    are read block by block.

    *Source*: van der Maaten and Hinton 2008, "Visualizing data using t-SNE"; Poličar et al. 2024,
    "openTSNE"; McInnes et al. 2018, arXiv 1802.03426.

    Args:
        features: `[image, feature]`, at least 5 images.
        method: `pca`, `tsne` or `umap`.
        seed: Of everything drawn at random.
        perplexity: Of t-SNE; at most a third of the other images.
        neighbors: Of UMAP; at most the other images.

    Raises:
        UsageError: There is no such method.
        EnvironmentFault: Its package is not installed.
        InputError: There are too few images, all have the same features, or the features are no matrix.
        NotFiniteError: A feature is not finite.
    """
    check_method(method)
    if features.ndim != 2 or len(features) < _FEWEST or not features.shape[1]:
        raise InputError(f"expected features of at least {_FEWEST} images, got {list(features.shape)}")
    check_finite(features)
    if not (np.max(features, axis=0) > np.min(features, axis=0)).any():
        raise InputError(
            f"the features of all {len(features):,} images are equal: there is nothing to tell apart",
            hint="use another layer or checkpoint",
        )
    if method == "pca":
        points, shares = principal_components(features, 2)
        about: dict[str, Any] = {"library": _version("scipy"), "variance": shares.tolist()}
        return Projection(points, about | {"seed": seed})
    narrow = features if features.shape[1] <= _WIDTH else principal_components(features, _WIDTH)[0]
    values, count = _narrowed(narrow), len(features)
    if method == "tsne":
        return _tsne(values, seed=seed, perplexity=min(perplexity, (count - 1) / 3))
    return _umap(values, seed=seed, neighbors=min(neighbors, count - 1))


def _narrowed(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return features in single precision, as neighbours are found among; squares must be finite too.

    Raises:
        NotFiniteError: They are too large for it.
    """
    found = np.asarray(values)
    largest = float(np.abs(found).max())
    if largest > _LARGEST:
        raise NotFiniteError(f"a feature is {largest:.1g}, too large for its distances to be finite")
    return found.astype(np.float32)


def _tsne(values: NDArray[np.float32], *, seed: int, perplexity: float) -> Projection:
    about: dict[str, Any] = {"perplexity": perplexity, "seed": seed}
    start = principal_components(values, 2)[0]
    start = 1e-4 * start / max(float(start[:, 0].std()), np.finfo(np.float64).tiny)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that they would use if they were there
        if find_spec("openTSNE") is not None:
            from openTSNE import TSNE

            # One thread: several wait for each other at every step, for minutes where cores are shared.
            made = TSNE(perplexity=perplexity, initialization=start, random_state=seed, n_jobs=1)
            return Projection(
                np.array(made.fit(values), np.float64), about | {"library": _version("openTSNE")}
            )
        from sklearn.manifold import TSNE as PLAIN

        plain = PLAIN(perplexity=perplexity, init=start.astype(np.float32), random_state=seed)
        found = np.array(plain.fit_transform(values), dtype=np.float64)
    return Projection(found, about | {"library": _version("scikit-learn")})


def _umap(values: NDArray[np.float32], *, seed: int, neighbors: int) -> Projection:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP

        made = UMAP(n_neighbors=neighbors, random_state=seed, n_jobs=1)
        # numba tells OpenMP of all cores, for good: torch would go on with as many threads.
        with threadpool_limits(1, "openmp"):
            points = np.array(made.fit_transform(values), dtype=np.float64)
    return Projection(points, {"n_neighbors": neighbors, "seed": seed, "library": _version("umap-learn")})


def _version(package: str) -> str:
    return f"{package} {metadata.version(package)}"
