"""A head on a frozen network learns from kept features as it does from images, and only where it may."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from impasto.checkpoint import Resume
from impasto.config.balance import Balance
from impasto.config.selection import Selection
from impasto.config.train import Chosen
from impasto.copies import Bank, Copies, draw_copies
from impasto.features import Features
from impasto.feed import Feed
from impasto.frozen import Frozen, frozen
from impasto.loop import Loop
from impasto.models.parted import is_still, parted
from impasto.paintings import Paintings
from impasto.phase import Phase
from impasto.runtime import runtime
from impasto.training import Row, fit
from tiny import CPU, STYLES, augment, mix, model, stream, stylise, train

HEAD: dict[str, Any] = {"attention": "tanh_additive", "taps": [2, 4], "head_dropout": 0.3}
LABELS = torch.arange(48) % 4
RUNS = count()
CHOSEN: Selection = Chosen.model_validate({"metric": "balanced_accuracy", "patience": 0})


def copies(kind: str, n: int = 9) -> Copies:
    values = {"strength": 0.0, "p1": 0.0, "p2": 0.0, "rare": 1.0, "multipliers": [], "copy": kind, "styles": "any"}
    balance = Balance.model_validate(values | {"replace": True})
    return draw_copies(LABELS, [n, 0, 3, 0], Bank(STYLES, None), balance, (0.3, 1.0), 0)


def fed(kind: str = "style", features: Features | None = None, seed: int = 3, **changes: Any) -> Feed:
    drawn = copies(kind)
    streams = stream(48, seed=1).copied(48, drawn.content), stream(40, seed=2)
    values: dict[str, Any] = {"augment": augment(), "mix": mix(lambda_=0.0, lambda_o=0.0), "views": 1}
    return Feed(
        streams=streams,
        paintings=Paintings(stylise, streams, 0.3, CPU),
        styles=STYLES,
        strength=0.0,
        batch=16,
        seed=seed,
        device=CPU,
        copies=drawn,
        features=Features() if features is None else features,
        **values | changes,
    )


def phase(epochs: int = 3, **changes: Any) -> Phase:
    return Phase(epochs, lambda epoch: 0.1 / (epoch + 1), **{"open": 1, "batch_norm": "frozen"} | changes)


def run(found: Feed, network: nn.Module, plan: list[Phase] | None = None, **changes: Any) -> list[Row]:
    resume = Resume(f"run-{next(RUNS)}")
    settings: dict[str, Any] = {"purpose": "test", "resume": resume, "on_epoch": lambda epoch, row: None}
    config = train(**{"accumulate": 2, "loss": "focal", "gamma": 2.0, "alpha": 1.0} | changes.pop("train", {}))
    settings |= {"selection": CHOSEN} | changes
    return fit(network, found, stream(20, seed=9), plan or [phase()], config, **settings).rows


@pytest.mark.parametrize("kind", ["style", "duplicate", "reconstruction"])
@pytest.mark.parametrize("head", [HEAD, {}], ids=["attention", "chain"])
def test_it_learns_what_it_learns_from_images(root: Path, kind: str, head: dict[str, Any]) -> None:
    kept, anew = model(**head), model(**head)
    history = run(fed(kind), kept, selection=None)
    wanted = run(fed(kind, Features(limit=0)), anew, selection=None)
    assert len(history) == len(wanted) == 3
    for row, other in zip(history, wanted, strict=True):
        assert row == pytest.approx(other, rel=1e-4, abs=1e-5)
    before, learned = model(**head).state_dict(), {name for name, _ in anew.named_parameters() if "head." in name}
    for name, tensor in anew.state_dict().items():
        torch.testing.assert_close(kept.state_dict()[name], tensor, rtol=1e-3, atol=1e-5)
        assert torch.equal(tensor, before[name]) != (name in learned), name


def test_the_network_sees_each_image_once_and_all_seeds_share_that(root: Path) -> None:
    seen: list[int] = []
    features = Features()
    for seed in (1, 2):
        network = model(**HEAD)
        first = network.get_submodule("stem")
        first.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
        run(fed(features=features, seed=seed), network, selection=None)
        assert sum(seen) == 48 + 12 + 20
    network = model(seed=5, **HEAD)
    network.get_submodule("stem").register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    run(fed(features=features), network, selection=None)
    assert sum(seen) == 2 * (48 + 12 + 20), "another network sees them anew"


def stand_in(found: Feed, plan: Phase, **changes: Any) -> Frozen | None:
    network = model(**HEAD | changes)
    loop = Loop(network, found, [plan], train(), "test", validation=stream(20, seed=9))
    loop.open(plan)
    return frozen(network, plan, found, stream(20, seed=9), "fp32")


@pytest.mark.parametrize(
    ("feeding", "plan"),
    [
        ({"augment": augment(flip=True)}, {}), ({"augment": augment(crop=2)}, {}),
        ({"augment": augment(trivial=True)}, {}), ({"augment": augment(augmix="all")}, {}),
        ({"augment": augment(erase=0.1)}, {}), ({"augment": augment(mixup=0.5)}, {}),
        ({"augment": augment(cutmix=0.5)}, {}), ({"augment": augment(noise=True)}, {}),
        ({"augment": augment(feature_noise="siedel")}, {}),
        ({"augment": augment(deepaugment={"share": 0.5, "size": 48})}, {}), ({"views": 3}, {}),
        ({"mix": mix(lambda_=0.1, lambda_o=0.0)}, {}), ({"mix": mix(lambda_=0.0, lambda_o=0.1)}, {}),
        ({"mix": mix(lambda_=0.0, lambda_o={0: 0.0, 3: 0.2})}, {}),
        ({}, {"open": 2}), ({}, {"open": None}), ({}, {"batch_norm": "all"}), ({"features": Features(limit=1000)}, {}),
    ],
)  # fmt: skip
def test_what_changes_from_epoch_to_epoch_is_computed_anew(
    root: Path, feeding: dict[str, Any], plan: dict[str, Any]
) -> None:
    assert stand_in(fed(), phase()) is not None
    assert stand_in(fed(**feeding), phase(**plan)) is None


def test_a_body_that_draws_is_computed_anew(root: Path) -> None:
    assert stand_in(fed(), phase(), dropout=0.2) is None
    assert is_still(nn.Dropout(0.0)) and not is_still(nn.Dropout(0.1)) and is_still(nn.Dropout(0.1).eval())
    assert not is_still(nn.Sequential(nn.BatchNorm2d(2))) and is_still(nn.BatchNorm2d(2).eval())


@pytest.mark.parametrize("changes", [HEAD, {}, {"name": "timm", "timm": "test_vit"}], ids=["tapped", "chain", "whole"])
def test_a_classifier_is_its_head_on_its_body(changes: dict[str, Any]) -> None:
    network = model(**changes).eval()
    cut = parted(network)
    if "timm" in changes:
        assert cut is None, "its head is inside"
        return
    assert cut is not None
    images = torch.rand(3, 3, 16, 16)
    assert torch.equal(cut.head(cut.body(images)), network(images))
    other, same = parted(model(seed=1, **changes)), parted(model(**changes))
    assert other and same and cut.digest() == same.digest() != other.digest()
    assert (smooth := parted(model(activation="silu", **changes))) and smooth.digest() != cut.digest()
    with torch.no_grad():
        next(p for p in network.get_submodule("head").parameters()).add_(1)
    assert cut.digest() == same.digest(), "the head does not count"


def test_features_are_those_of_each_row_and_what_does_not_fit_is_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    images = torch.arange(200.0)[:, None]

    def compute(rows: Tensor) -> list[Tensor]:
        calls.append(len(rows))
        return [images[rows] * 2, images[rows].to(torch.bfloat16)]

    calls: list[int] = []
    features = Features(limit=200 * 6)
    table = features.table("a", "key", 200, compute, CPU)
    assert table and torch.equal(table[0], images * 2) and table[1].dtype == torch.bfloat16 and sum(calls) == 200
    assert features.table("a", "key", 200, compute, CPU) is table and sum(calls) == 200
    assert features.table("b", "key", 1, compute, CPU) is None, "no room is left beside it"
    assert features.table("a", "other", 200, compute, CPU) is not None and sum(calls) == 401
    capsys.readouterr()
    assert Features(limit=200 * 6 - 1).table("a", "key", 200, compute, CPU) is None
    assert "features of the a images need 0.0 GB" in capsys.readouterr().err


class Killed(BaseException):
    """The end of a process."""


@pytest.mark.parametrize("killed", range(4))
def test_killed_it_ends_with_the_same_bits(root: Path, monkeypatch: pytest.MonkeyPatch, killed: int) -> None:
    """Before, in and after the stage in which features are kept."""
    monkeypatch.setenv("IMPASTO_SAVE_SECONDS", "1e-9")
    runtime.cache_clear()
    plan = [phase(1, open=2), phase(2), phase(2, open=3)]

    def on_epoch(epoch: int, row: Row) -> None:
        if epoch == killed:
            raise Killed

    whole, again = model(**HEAD), model(**HEAD)
    history = run(fed(), whole, plan, resume=Resume("whole"))
    with pytest.raises(Killed):
        run(fed(), model(**HEAD), plan, resume=Resume("killed"), on_epoch=on_epoch)
    assert run(fed(), again, plan, resume=Resume("killed")) == history and len(history) == 5
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in whole.state_dict().items())


def test_pictures_are_what_an_epoch_shows(root: Path) -> None:
    for kind in ("style", "duplicate", "reconstruction"):
        found = fed(kind)
        plan, batches = found.epoch(0)
        images = torch.cat([images for images, _ in batches])
        wanted = (images * 255).round().to(torch.uint8)
        assert np.array_equal(found.pictures(plan.row).numpy(), wanted.numpy())
