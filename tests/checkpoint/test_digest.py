"""Digests: equal exactly when the contents are."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from tests.checkpoint.specimens import small_checkpoint
from tests.oracles.digests import slow_digest
from vitscope.checkpoint.digest import digest_content, digest_tensors


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64, torch.uint8])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3), (1, 2, 3, 4)])
def test_agrees_with_the_plain_loop(dtype: torch.dtype, shape: tuple[int, ...]):
    values = (torch.rand(shape, generator=torch.Generator().manual_seed(3)) * 99).to(dtype)
    tensors = {"b.weight": values, "a": values.flatten()}
    assert digest_tensors(tensors) == slow_digest(tensors)


def test_a_known_value():
    """What `printf '["w", "torch.float32", [1]]\\n\\0\\0\\200?' | sha256sum` prints."""
    known = "87bf6d86d7fc5193fd993d0b1078cfd2421624e1ab2d7633492cc25fa7492e84"
    assert digest_tensors({"w": torch.ones(1)}) == f"sha256:{known}"


def test_order_layout_and_gradients_do_not_matter():
    weight = torch.randn(3, 4)
    one = {"a": weight, "b": torch.ones(2)}
    two = {"b": torch.nn.Parameter(torch.ones(2)), "a": weight.T.contiguous().T}
    assert digest_tensors(one) == digest_tensors(two)
    shuffled = list(small_checkpoint().to_dict().items())
    random.Random(0).shuffle(shuffled)
    assert digest_content(dict(shuffled)) == small_checkpoint().digest


DIFFERENT: list[tuple[Any, Any]] = [
    ({"a": 1}, {"a": 1.0}),
    ({"a": 1}, {"a": True}),
    ({"a": 1}, {"a": "1"}),
    ({"a": None}, {}),
    ({"a": (1, 2)}, {"a": [1, 2]}),
    ({1: "x"}, {"1": "x"}),
    ({"a": 0.0}, {"a": -0.0}),
    ({"a": {"b": 1}}, {"a": {}, "b": 1}),
    ({"a": ["b", 1]}, {"a": {"b": 1}}),
    ({"a": {"tensor": '["a"]'}}, {"a": torch.zeros(1)}),
    ({"a": torch.zeros(2)}, {"a": torch.zeros(1, 2)}),
    ({"a": torch.zeros(2)}, {"a": -torch.zeros(2)}),
    ({"a": torch.zeros(2)}, {"a": torch.zeros(2, dtype=torch.int32)}),
    ({"a": torch.zeros(2), "b": torch.ones(2)}, {"a": torch.ones(2), "b": torch.zeros(2)}),
]


@pytest.mark.parametrize(("one", "two"), DIFFERENT)
def test_what_differs_has_another_digest(one: Any, two: Any):
    assert digest_content(one) != digest_content(two)


def test_every_field_counts():
    seen = {small_checkpoint().digest}
    for changes in (
        {"model": "x"},
        {"options": {}},
        {"classes": ("dog", "cat")},
        {"preprocessing": {}},
        {"data": {}},
        {"training": {}},
        {"provenance": {}},
        {"resume": {}},
    ):
        seen.add(small_checkpoint(**changes).digest)
    assert len(seen) == 9
