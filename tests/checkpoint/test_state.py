"""Weights by name: prefixes, and why a set of them does not fit."""

from __future__ import annotations

import pytest
import torch

from vitscope.checkpoint.state import explain_mismatch, strip_prefixes


def network(classes: int = 10, width: int = 8) -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(4, width), torch.nn.BatchNorm1d(width), torch.nn.Linear(width, classes)
    )


def shapes(model: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_wrappers_leave_no_prefix(prefix: str):
    state = network().state_dict()
    wrapped = {prefix + name: tensor for name, tensor in state.items()}
    assert strip_prefixes(wrapped) == dict(state)


@pytest.mark.slow
def test_real_wrappers():
    model = network()
    assert list(strip_prefixes(torch.nn.DataParallel(model).state_dict())) == list(model.state_dict())
    assert list(strip_prefixes(torch.compile(model).state_dict())) == list(model.state_dict())


def test_a_layer_called_module_keeps_its_name():
    state = {"module.weight": torch.zeros(1), "head.weight": torch.zeros(1)}
    assert strip_prefixes(state) == state
    assert strip_prefixes({}) == {}


def test_nothing_to_explain_where_strict_loading_works():
    model = network()
    assert explain_mismatch(shapes(model), model.state_dict()) is None


def test_another_number_of_classes():
    message = explain_mismatch(shapes(network(10)), network(100).state_dict())
    assert message is not None
    assert "2.weight 100x8 where the model has 10x8" in message
    assert message.endswith("the weights likely have 100 classes, the model 10")
    assert "\n" not in message


def test_another_architecture():
    message = explain_mismatch(shapes(network()), torch.nn.Conv2d(3, 3, 3).state_dict())
    assert message == (
        "9 of 9 weights are missing (0.weight, 0.bias, 1.weight, …); 2 are not the model's (weight, bias)"
    )


def test_another_width_says_nothing_about_classes():
    message = explain_mismatch(shapes(network(10, 8)), network(10, 6).state_dict())
    assert message is not None
    assert "7 have another shape" in message
    assert "classes" not in message


def test_scalars():
    assert (
        explain_mismatch({"n": ()}, {"n": torch.zeros(2)})
        == "1 have another shape (n 2 where the model has scalar)"
    )
