"""Weight averaging against torch's, and against the plain mean."""

from __future__ import annotations

import io
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from impasto.averaging import WeightAverage, refresh_batch_norm
from impasto.checkpoint import Resume
from impasto.loop import seeded
from impasto.phase import base_phase
from impasto.training import fit
from tiny import augment, feed, mix, stream, train
from tiny import model as wide_resnet


def network(dropout: float = 0.0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        body = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.3), nn.ReLU(), nn.Dropout(dropout))
        return nn.Sequential(*body, nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.LazyLinear(2))


def batches(sizes: tuple[int, ...] = (8, 8, 3)) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.rand(size, 3, 8, 8, generator=generator) for size in sizes]


def ready(dropout: float = 0.0) -> nn.Sequential:
    model = network(dropout)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model.eval()(batches()[0])  # gives the lazy layer its shape
    return model.train()


def trajectory(model: nn.Module, steps: int) -> Iterator[nn.Module]:
    """The model along a few steps of training."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    for step in range(steps):
        optimiser.zero_grad()
        model(batches()[step % 3]).square().mean().backward()
        optimiser.step()
        yield model


def equal(first: nn.Module, second: nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_update_equals_torch() -> None:
    model = ready()
    ours, theirs = WeightAverage(model), AveragedModel(model)
    for current in trajectory(model, 7):
        ours.update(current)
        theirs.update_parameters(current)
        torch.testing.assert_close(ours.model.state_dict(), theirs.module.state_dict(), rtol=1e-6, atol=1e-7)
    assert ours.count == int(theirs.n_averaged) == 7


def test_average_is_the_mean_of_parameters_and_the_last_of_buffers() -> None:
    model = ready()
    average, weights = WeightAverage(model), []
    for current in trajectory(model, 5):
        average.update(current)
        weights.append(torch.cat([p.detach().flatten() for p in current.parameters()]))
    found = torch.cat([p.flatten() for p in average.model.parameters()])
    torch.testing.assert_close(found, torch.stack(weights).mean(0))
    assert all(torch.equal(a, b) for a, b in zip(average.model.buffers(), model.buffers(), strict=True))


def test_the_start_leaves_no_trace_and_the_source_is_not_touched() -> None:
    model = ready()
    average = WeightAverage(model)
    *_, _ = trajectory(model, 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    average.update(model)
    assert equal(average.model, model)
    average.model[0].weight.data.zero_()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_resuming_from_a_state_equals_going_on() -> None:
    model = ready()
    whole, file = WeightAverage(model), io.BytesIO()
    for step, current in enumerate(trajectory(model, 6)):
        whole.update(current)
        if step == 2:
            torch.save(whole.state_dict(), file)
            resumed = WeightAverage(ready())
            resumed.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
        elif step > 2:
            resumed.update(current)
    assert resumed.count == whole.count == 6
    assert equal(resumed.model, whole.model)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("training", [True, False])
def test_refresh_equals_torch(dropout: float, training: bool) -> None:
    ours = ready(dropout)
    *_, _ = trajectory(ours, 2)  # leaves statistics behind, which must not enter the new ones
    theirs = deepcopy(ours.train(training))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        refresh_batch_norm(ours, iter(batches()))
        torch.manual_seed(6)
        update_bn(batches(), theirs)
    assert equal(ours, theirs)
    assert ours.training is training
    assert [m.momentum for m in ours.modules() if isinstance(m, nn.BatchNorm2d)] == [0.3, 0.1]


def test_refreshed_statistics_are_the_mean_over_batches() -> None:
    model = ready()
    refresh_batch_norm(model, batches())
    maps = [model[0](batch) for batch in batches()]
    torch.testing.assert_close(model[1].running_mean, torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0))
    torch.testing.assert_close(model[1].running_var, torch.stack([m.var((0, 2, 3)) for m in maps]).mean(0))


def test_refresh_without_a_batch_is_refused_and_puts_the_momentum_back() -> None:
    model = ready().eval()
    with pytest.raises(ValueError, match="batch"):
        refresh_batch_norm(model, [])
    assert not model.training
    assert model[1].momentum == 0.3


def test_refresh_leaves_a_model_without_batch_norm_alone() -> None:
    refresh_batch_norm(nn.Linear(2, 2), [])


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_run_ends_with_torchs_statistics_of_its_last_epoch(root: Path, dropout: float) -> None:
    """In float32 although it trained in bf16: of the mean weights, on images painted and augmented as in that epoch."""
    config = train(epochs=4, averaging={"start": 0.5}, precision="bf16")
    ours, resume = wide_resnet(dropout=dropout), Resume("averaged")

    def images() -> list[Tensor]:
        found = feed(augmented=augment(crop=2, trivial=True), mixed=mix(lambda_o=0.5))
        return [batch for batch, _ in found.epoch(3)[1]]

    found = feed(augmented=augment(crop=2, trivial=True), mixed=mix(lambda_o=0.5))
    settings = {"purpose": "test", "resume": resume, "on_epoch": lambda _epoch, _row: None}
    fit(ours, found, stream(20, seed=9), [base_phase(config)], config, **settings)
    theirs, state = wide_resnet(dropout=dropout), resume.load()
    assert state is not None and state["average"]["count"] == 2
    theirs.load_state_dict(state["average"]["model"])
    with seeded(found, "test", "refresh", 3):
        update_bn(images(), theirs)
    assert equal(ours, theirs)
