"""Muon and AdamW as one optimizer, against torch's two."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from vitscope.models.registry import build_model
from vitscope.trainers.muon import MuonWithAdamW, hidden_weights
from vitscope.trainers.optimization import build_optimizer, set_learning_rate
from vitscope.trainers.sections import OptimizerSettings

SMALL = {"classes": 3, "image_size": 8, "channels": 1, "width": 12, "depth": 2, "heads": 2}
SETTINGS = OptimizerSettings(name="muon", lr=0.01, muon_lr=0.04, weight_decay=0.1, momentum=0.9)


class Net(nn.Module):
    """Two filters and two matrices, of which the first and the last are not Muon's."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(1, 4, 3)
        self.filter = nn.Conv2d(4, 6, 3)
        self.matrix = nn.Linear(6, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, images):
        return self.head(self.matrix(self.filter(self.first(images).relu()).relu().mean(dim=(2, 3))))


def trained(network, optimizer, steps, *, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.randn(4, 1, 8, 8, generator=generator)).square().mean().backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in network.parameters()]


def test_steps_are_those_of_torchs_two():
    """The filter is written out as a matrix by hand, in a network without the optimizer under test."""
    network, other = Net(), Net()
    optimizer = build_optimizer(network, SETTINGS)
    set_learning_rate(optimizer, 0.01)
    found = trained(network, optimizer, 3)
    flat = nn.Parameter(other.filter.weight.detach().reshape(6, -1))
    muon = torch.optim.Muon([flat, other.matrix.weight], lr=0.04, momentum=0.9, weight_decay=0.1)
    spared = [layer.bias for layer in (other.first, other.filter, other.matrix, other.head)]
    adamw = torch.optim.AdamW(
        [
            {"params": spared, "weight_decay": 0.0},
            {"params": [other.first.weight, other.head.weight], "weight_decay": 0.1},
        ],
        lr=0.01,
    )
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        other.zero_grad()
        other(torch.randn(4, 1, 8, 8, generator=generator)).square().mean().backward()
        flat.grad = other.filter.weight.grad.reshape(6, -1)
        muon.step()
        adamw.step()
        other.filter.weight.data = flat.detach().reshape(6, 4, 3, 3).clone()
    for one, expected in zip(found, other.parameters(), strict=True):
        torch.testing.assert_close(one, expected.detach())


def test_a_step_turns_a_matrix_by_its_rate():
    """The step of Muon has singular values near 1 (0.5 … 1.5): no other optimizer's has."""
    network = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2))
    optimizer = build_optimizer(network, SETTINGS.model_copy(update={"weight_decay": 0.0}))
    before = network[1].weight.detach().clone()
    network(torch.randn(64, 8)).square().mean().backward()
    optimizer.step()
    values = torch.linalg.svdvals((network[1].weight.detach() - before) / 0.04)
    assert values.max() < 1.5
    assert values[1] > 0.3  # the gradient itself has two directions only


def test_memory_goes_on_exactly():
    network = Net()
    optimizer = build_optimizer(network, SETTINGS)
    trained(network, optimizer, 2)
    twin = copy.deepcopy(network)
    again = build_optimizer(twin, SETTINGS)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for optimizer_ in (optimizer, again):
        set_learning_rate(optimizer_, 0.02)
    one, other = trained(network, optimizer, 3, seed=2), trained(twin, again, 3, seed=2)
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
    assert {group["lr"] for group in again.param_groups} == {0.02, 0.08}


def test_channels_last_is_the_same():
    plain, other = Net(), Net().to(memory_format=torch.channels_last)
    one = trained(plain, build_optimizer(plain, SETTINGS), 2)
    last = trained(other, build_optimizer(other, SETTINGS), 2)
    for each, expected in zip(last, one, strict=True):
        torch.testing.assert_close(each, expected, atol=1e-4, rtol=1e-3)
    assert other.filter.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("keep", [True, False])
def test_gradients_are_forgotten(keep):
    network = Net()
    optimizer = build_optimizer(network, SETTINGS)
    trained(network, optimizer, 1)
    assert all(parameter.grad is not None for parameter in network.parameters())
    optimizer.zero_grad(set_to_none=not keep)
    for parameter in network.parameters():
        assert (parameter.grad is not None and not parameter.grad.any()) if keep else parameter.grad is None


def test_what_muon_moves():
    transformer = build_model("vit-micro", SMALL)
    names = {id(parameter): name for name, parameter in transformer.named_parameters()}
    found = {names[id(weight)] for weight in hidden_weights(transformer)}
    layers = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    assert found == {f"blocks.{block}.{layer}.weight" for block in range(2) for layer in layers}
    compact = build_model("cct-7-3x1", SMALL)
    shapes = [tuple(weight.shape) for weight in hidden_weights(compact)]
    assert len(shapes) == 8  # neither the tokenizer, nor the pool of one row, nor the head
    assert (1, 12) not in shapes
    network = build_model("airbench", {"classes": 3, "image_size": 9, "channels": 1, "width": 4})
    assert [tuple(weight.shape) for weight in hidden_weights(network)] == [
        (4, 8, 3, 3), (4, 4, 3, 3), (16, 4, 3, 3), (16, 16, 3, 3), (16, 16, 3, 3), (16, 16, 3, 3)
    ]  # fmt: skip


def test_a_head_alone_is_adamws():
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    assert isinstance(build_optimizer(network, SETTINGS), torch.optim.AdamW)
    assert isinstance(build_optimizer(Net(), SETTINGS), MuonWithAdamW)
