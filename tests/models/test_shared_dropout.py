"""What several processes drop is what one drops: the same bits, by torch's and timm's own layers on the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from timm.layers import DropBlock2d, DropPath, PatchDropout
from torch import Tensor, nn

from impasto import ranks
from impasto.errors import ImpastoError
from impasto.models.shared_dropout import share_dropout

LAYERS = [nn.Dropout(0.3), nn.Dropout(0.3, inplace=True), nn.Dropout1d(0.4), nn.Dropout2d(0.4), nn.Dropout3d(0.4)]
LAYERS += [DropPath(0.4), DropPath(0.4, scale_by_keep=False)]
FORMATS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": Tensor.contiguous,
    "channels last": lambda x: x.movedim(1, -1).contiguous().movedim(-1, 1),
    "half": Tensor.bfloat16,
    "float64": Tensor.double,
    "sliced": lambda x: torch.stack([x, x], -1)[..., 0],
}


def features(layer: nn.Module, rows: int) -> Tensor:
    """Of as many axes as the layer wants."""
    axes = {nn.Dropout1d: 1, nn.Dropout3d: 3}.get(type(layer), 2)
    return torch.rand(rows, 6, *range(5, 5 + axes), generator=torch.Generator().manual_seed(1)) + 0.5


def shared(layer: nn.Module, patch: pytest.MonkeyPatch, rank: int, count: int) -> nn.Module:
    """The layer of one process of so many."""
    patch.setattr(ranks, "index", lambda: rank)
    patch.setattr(ranks, "count", lambda: count)
    network = nn.Sequential(deepcopy(layer))
    share_dropout(network)
    return network


def seeded(network: nn.Module, given: Tensor) -> tuple[Tensor, Tensor]:
    """Two passes, of which the second tells whether as much was drawn in the first."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        return network(given.clone(memory_format=torch.preserve_format)), network(given.clone())


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_each_process_drops_its_rows_of_the_batch(monkeypatch: pytest.MonkeyPatch, layer: nn.Module, form: str) -> None:
    """With views and several rows of an image, as windows of it have; of shares of one image too."""
    for n, count, views, each in [(7, 3, 1, 1), (8, 2, 1, 1), (5, 2, 3, 1), (4, 4, 1, 1), (3, 2, 2, 4), (2, 3, 2, 1)]:
        batch = FORMATS[form](features(layer, views * n * each))
        wanted = seeded(layer, batch)
        assert not torch.equal(wanted[0], wanted[1]) or n < 4
        for rank in range(count):
            network = shared(layer, monkeypatch, rank, count)
            rows = torch.arange(views * n * each).view(views, n, each)[:, ranks.share(n)].flatten()
            with ranks.sharing(n, views):
                found = seeded(network, FORMATS[form](batch[rows]))
            for own, whole in zip(found, wanted, strict=True):
                assert own.dtype == whole.dtype and torch.equal(own, whole[rows])


def test_the_gradient_is_that_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    network = shared(nn.Dropout(0.5), monkeypatch, 1, 2)
    given = features(network[0], 4)[1::2].requires_grad_()
    with ranks.sharing(4):
        out = network(given)
    out.sum().backward()
    assert given.grad is not None and torch.equal(given.grad, torch.where(out > 0, 2.0, 0.0)) and (out == 0).any()


def test_one_process_and_evaluation_keep_what_they_had(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.AlphaDropout(0.5))
    share_dropout(network)
    assert [type(layer) for layer in network] == [nn.Dropout, nn.AlphaDropout]
    given = features(network[0], 4)
    with ranks.sharing(8):
        assert torch.equal(shared(nn.Dropout(0.5), monkeypatch, 1, 2).eval()(given), given)


@pytest.mark.parametrize("layer", [nn.Dropout(0.0), nn.AlphaDropout(0.0), DropPath(0.0), nn.MultiheadAttention(4, 2)])
def test_what_drops_nothing_is_left_alone(monkeypatch: pytest.MonkeyPatch, layer: nn.Module) -> None:
    assert type(shared(layer, monkeypatch, 0, 2)[0]) is type(layer)  # type: ignore[index]


class Functional(nn.Module):
    """A network with a rate and no layer for it, as some of timm's are; with one, the rate is that layer's."""

    def __init__(self, inner: float) -> None:
        super().__init__()
        self.drop_rate, self.layer = 0.2, nn.Dropout(inner)


def test_a_rate_that_a_layer_has_is_that_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(shared(Functional(0.2), monkeypatch, 0, 2)[0].layer).__name__ == "SharedDropout"  # type: ignore[index,union-attr]


@pytest.mark.parametrize(
    "layer",
    [
        nn.AlphaDropout(0.1),
        nn.FeatureAlphaDropout(0.1),
        DropBlock2d(0.1),
        PatchDropout(0.1),
        nn.MultiheadAttention(4, 2, dropout=0.1),
        Functional(0.0),
    ],
)
def test_dropout_of_unknown_kind_is_refused(monkeypatch: pytest.MonkeyPatch, layer: nn.Module) -> None:
    """Its draws would be others than those of one process."""
    name = type(layer).__name__
    with pytest.raises(ImpastoError, match=rf"a {name}, whose dropout several processes cannot share \[model.name\]"):
        shared(layer, monkeypatch, 0, 2)


def test_rows_that_are_no_images_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = shared(nn.Dropout(0.5), monkeypatch, 0, 2)
    with ranks.sharing(4), pytest.raises(ImpastoError, match=r"3 rows of 2 images.* cannot share \[model.name\]"):
        network(torch.ones(3, 5))


def test_it_stands_in_a_compiled_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """It breaks the graph, and its draws stay what they are."""
    layer = nn.Dropout(0.5)
    network, given = shared(layer, monkeypatch, 1, 2), features(layer, 8)
    network.compile(backend="eager")
    with ranks.sharing(8):
        found = seeded(network, given[1::2])
    assert torch.equal(found[0], seeded(layer, given)[0][1::2])
