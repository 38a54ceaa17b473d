"""Every network by its name: its parameters, its start from a seed, its blocks."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn

from impasto.config.model import BLOCKS, PARAMETERS, Model
from impasto.models import registry
from impasto.models.layers import ACTIVATIONS
from impasto.models.places import places
from impasto.models.registry import blocks
from tiny import SIZE, SMALLEST, model

CNNS = [name for name in SMALLEST if name != "timm"]


@pytest.mark.parametrize("name", SMALLEST)
def test_a_network_takes_the_parameters_that_the_section_gives_it(name: str) -> None:
    model(name=name)
    classes, *taken = inspect.signature(registry._NETWORKS[name]).parameters
    assert classes == "classes" and tuple(taken) == PARAMETERS[name]
    assert set(registry._NETWORKS) == set(PARAMETERS) == set(get_args(Model.model_fields["name"].annotation))


def test_every_activation_of_the_section_exists() -> None:
    literal, null = get_args(Model.model_fields["activation"].annotation)
    assert set(get_args(literal)) == set(ACTIVATIONS) and null is type(None)


@pytest.mark.parametrize("name", SMALLEST)
def test_logits_one_row_per_image(name: str) -> None:
    x = torch.rand(3, 3, SIZE, SIZE)
    network = model(name=name, classes=6).eval()
    logits = network(x)
    assert logits.shape == (3, 6) and logits.isfinite().all()
    torch.testing.assert_close(network(x[1:2]), logits[1:2], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CNNS)
def test_logits_take_the_statistics_of_the_training_images(name: str) -> None:
    assert model(name=name).normalise.mean.flatten().tolist() == [0.5] * 3


@pytest.mark.parametrize("name", SMALLEST)
def test_initial_weights_follow_from_the_seed_and_leave_the_global_generator_alone(name: str) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = model(name=name, seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = model(name=name, seed=7).state_dict(), model(name=name, seed=8).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert sum(not torch.equal(first[key], other[key]) for key in first) > len(first) / 8


def test_a_new_head_on_pretrained_weights_follows_from_the_seed(tmp_path: Path) -> None:
    torch.save(model(name="timm", classes=9).timm.network.state_dict(), tmp_path / "w.pth")
    one, again, other = (model(name="timm", weights=str(tmp_path / "w.pth"), seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert {key for key in one if not torch.equal(one[key], other[key])} == {"timm.network.head.weight"}


@pytest.mark.parametrize("name", CNNS)
def test_convolutions_start_as_pytorch_draws_them(name: str) -> None:
    """Uniform within 1 / sqrt(fan in): neither normal nor scaled by the number of outputs."""
    for layer in model(name=name).modules():
        if isinstance(layer, nn.Conv2d):
            bound = layer.weight[0].numel() ** -0.5
            assert layer.weight.abs().max() <= bound
            if layer.weight.numel() > 2000:
                assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


@pytest.mark.parametrize("name", SMALLEST)
def test_blocks_run_from_input_to_head_and_hold_every_parameter_once(name: str) -> None:
    network = model(name=name)
    parts = blocks(network)
    assert parts[0][0] == "stem" and parts[-1][0] == "head" and len(parts) == BLOCKS.get(name, len(parts))
    held = [id(p) for _, part in parts for p in part.parameters()]
    assert sorted(held) == sorted(id(p) for p in network.parameters()) and len(held) == len(set(held))
    if name != "timm":
        assert [part for part, _ in parts[1:-1]] == [f"stage{n}" for n in range(1, len(parts) - 1)]
        assert held == [id(p) for p in network.parameters()]


@pytest.mark.parametrize("name", SMALLEST)
def test_places_for_feature_noise(name: str) -> None:
    assert places(model(name=name)) == ["normalise", *(["stage1", "stage2", "stage3"] if name in CNNS else [])]


@pytest.mark.parametrize("name", SMALLEST)
def test_without_normalisation_images_stay_as_they_are(name: str) -> None:
    plain, bare = model(name=name), model(name=name, normalise=False)
    assert [part for part, _ in plain.named_children()] == [part for part, _ in bare.named_children()]
    x = torch.rand(2, 3, SIZE, SIZE)
    assert torch.equal(bare.normalise(x), x) and not torch.equal(plain.normalise(x), x)
    own = {key: value for key, value in plain.state_dict().items() if not key.startswith("normalise")}
    assert all(torch.equal(value, bare.state_dict()[key]) for key, value in own.items()), "the same weights"
