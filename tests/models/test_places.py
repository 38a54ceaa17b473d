"""Features changed on the way through a network."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from impasto.models.densenet import densenet
from impasto.models.from_timm import from_timm
from impasto.models.normalise import Normalise
from impasto.models.places import INPUT, places, run
from impasto.models.resnext import resnext
from tiny import model as wide_resnet


def network(name: str) -> nn.Sequential:
    """A small network of each kind, ready for images of 16 px."""
    torch.manual_seed(0)
    parts = {
        "wrn": lambda: OrderedDict(wide_resnet(4).named_children()),
        "densenet": lambda: densenet(4, depth=121, width=2, stem_stride=1, activation="relu"),
        "resnext": lambda: resnext(4, depth=11, width=1, stage_stride=1, activation="relu"),
        "timm": lambda: from_timm(4, timm="test_resnet", weights=None),
    }[name]()
    return nn.Sequential(OrderedDict({"normalise": Normalise([0.5] * 3, [0.25] * 3)} | parts)).eval()


def images() -> Tensor:
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


EXPECTED = {
    "wrn": {"normalise": (3, 16, 16), "stage1": (16, 8, 8), "stage2": (32, 4, 4), "stage3": (64, 2, 2)},
    "densenet": {"normalise": (3, 16, 16), "stage1": (8, 8, 8), "stage2": (16, 4, 4), "stage3": (32, 2, 2)},
    "resnext": {"normalise": (3, 16, 16), "stage1": (256, 16, 16), "stage2": (512, 8, 8), "stage3": (1024, 4, 4)},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_places_and_their_features(name: str) -> None:
    """After a DenseNet's transitions, of which each halves channels and resolution."""
    model, seen = network(name), {}
    for place in places(model):

        def look(x: Tensor, place: str = place) -> Tensor:
            seen[place] = x
            return x

        assert torch.equal(run(model, images(), place, look), model(images()))
    assert {place: tuple(x.shape[1:]) for place, x in seen.items()} == EXPECTED[name]
    torch.testing.assert_close(seen[INPUT], (images() - 0.5) / 0.25)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_rest_of_the_network_sees_the_change(name: str) -> None:
    model = network(name)
    names = [part for part, _ in model.named_children()]
    for place in places(model):
        cut = names.index(place) + 1
        expected = model[cut:](model[:cut](images()) * -2)
        assert torch.equal(run(model, images(), place, lambda x: x * -2), expected)
        assert not torch.allclose(expected, model(images()), rtol=1e-3)


def test_a_network_of_timm_has_its_resized_input_alone() -> None:
    model, shapes = nn.Sequential(from_timm(4, timm="test_vit", weights=None)).eval(), []

    def look(x: Tensor) -> Tensor:
        shapes.append(tuple(x.shape))
        return x

    assert places(model) == [INPUT]
    assert torch.equal(run(model, images(), INPUT, look), model(images())) and shapes == [(2, 3, 160, 160)]


def test_another_place_is_refused() -> None:
    with pytest.raises(ValueError, match="normalise, stage1, stage2, stage3, not after head"):
        run(network("wrn"), images(), "head", lambda x: x)
