"""Maps of what a model looked at, and evidence that they are right.

The package can be called: `vitscope.explain(model, images, method=…)` is `vitscope.explain.methods.explain`,
for the reason that `vitscope.capture` gives.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vitscope.records.heatmap import Heatmap


class _Explain(ModuleType):
    """The package as a function; the work and the documentation are in `vitscope.explain.methods`."""

    def __call__(self, model: nn.Module, images: Tensor, *, method: str, **options: Any) -> Heatmap:  # noqa: ANN401
        """Return one map an image by any method: see `vitscope.explain.methods.explain`."""
        from vitscope.explain.methods import explain

        return explain(model, images, method=method, **options)


sys.modules[__name__].__class__ = _Explain
