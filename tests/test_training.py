"""The training loop: its schedule against torch's, one step against the formulas, frozen blocks, learning."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts
from torch.optim.swa_utils import SWALR

from impasto.checkpoint import Resume
from impasto.config.finetune import Finetune
from impasto.config.train import BatchNorm, Train
from impasto.data.images import to_unit
from impasto.errors import ImpastoError
from impasto.feed import Feed
from impasto.finetuning import phases
from impasto.models.registry import blocks
from impasto.phase import Phase, base_phase, cosine_restarts
from impasto.training import Row, Trained, fit
from impasto.validation import measure
from tiny import CPU, augment, feed, mix, model, stream, train

State = dict[str, Tensor]


def run(network: nn.Module, found: Feed, plan: list[Phase], config: Train, **changes: Any) -> list[Row]:
    return trained(network, found, plan, config, **changes).rows


def trained(network: nn.Module, found: Feed, plan: list[Phase], config: Train, **changes: Any) -> Trained:
    settings = {"purpose": "test", "resume": Resume("test"), "on_epoch": lambda epoch, row: None} | changes
    return fit(network, found, stream(20, seed=9), plan, config, **settings)


def snapshot(network: nn.Module) -> State:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def constant(epochs: int = 1, rate: float = 0.05, **changes: Any) -> Phase:
    return Phase(epochs, lambda epoch: rate, **changes)


def unfreezing(stages: list[dict[str, Any]]) -> Finetune:
    return Finetune.model_validate({"stages": stages, "copies": "kept", "selection": {"metric": "none", "patience": 0}})


@pytest.mark.parametrize(
    ("epochs", "period", "factor", "start", "anneal"),
    [
        (300, 20, 2, 0.9, 5),
        (30, 10, 2, 0.9, 2),
        (20, 20, 1, 0.7, 5),
        (12, 3, 1, 1.0, 2),
        (20, 4, 3, 0.55, 1),
        (7, 2, 2, 0.01, 3),
    ],
)
def test_learning_rates_are_torchs(epochs: int, period: int, factor: int, start: float, anneal: int) -> None:
    """Stepped once an epoch, SWALR in place of the cosine after every averaged epoch."""
    averaging = {"start": start, "learning_rate": 0.02, "anneal": anneal}
    phase = base_phase(train(epochs=epochs, period=period, period_factor=factor, averaging=averaging))
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    cosine = CosineAnnealingWarmRestarts(optimizer, period, factor)
    swa = SWALR(optimizer, 0.02, anneal, "linear")
    for epoch in range(epochs):
        assert phase.rate(epoch) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9), epoch
        optimizer.step()
        (swa if phase.average is not None and epoch >= phase.average else cosine).step()


def test_published_learning_rates_while_averaging() -> None:
    """300 epochs of Siedel et al.: 30 averaged epochs, in which the rate rises to 0.02."""
    averaging = {"start": 0.9, "learning_rate": 0.02, "anneal": 5}
    phase = base_phase(train(epochs=300, period=20, averaging=averaging))
    assert phase.average == 270
    rates = [phase.rate(epoch) for epoch in range(270, 277)]
    assert rates == pytest.approx([0.0084, 0.0107, 0.0131, 0.0154, 0.0177, 0.02, 0.02], abs=6e-5)


@pytest.mark.parametrize("start", [0.1, 0.5, 0.55, 0.7, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("epochs", [1, 3, 5, 20, 21, 30, 300])
def test_averaging_starts_with_the_epoch_after_which_more_than_its_fraction_has_passed(
    start: float, epochs: int
) -> None:
    """As the paper's code has it; never none at all but for a start of 1."""
    exact = Fraction(str(start))
    first = next((k for k in range(epochs) if k + 1 > exact * epochs), None)
    assert base_phase(train(epochs=epochs, averaging={"start": start})).average == first
    assert (first is None) == (start == 1)


def test_restarts_come_back_to_the_full_rate() -> None:
    assert [round(cosine_restarts(e, 1.0, 2, 2), 9) for e in (0, 1, 2, 4, 6)] == [1.0, 0.5, 1.0, 0.5, 1.0]


def test_rate_of_an_unfreezing_stage_is_torchs_cosine() -> None:
    stages = [{"open": 1, "epochs": 5, "learning_rate": 0.3, "batch_norm": "frozen"}]
    (phase,) = phases(unfreezing(stages))
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = CosineAnnealingLR(optimizer, 5)
    for epoch in range(5):
        assert phase.rate(epoch) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()


def test_unfreezing_stages_become_phases() -> None:
    stages = [
        {"open": 1, "epochs": 2, "learning_rate": 0.3, "batch_norm": "frozen"},
        {"open": 3, "epochs": 1, "learning_rate": 0.1, "batch_norm": "train"},
    ]
    found = phases(unfreezing(stages))
    told = [(p.epochs, p.open, p.batch_norm, p.average) for p in found]
    assert told == [(2, 1, "frozen", None), (1, 3, "train", None)]
    assert phases(unfreezing([])) == []


def by_hand(network: nn.Module, found: Feed, config: Train, rate: float) -> tuple[State, float]:
    """SGD with Nesterov momentum after Sutskever et al. 2013 as torch documents it, written out."""
    parameters = list(network.parameters())
    velocity = [torch.zeros_like(p) for p in parameters]
    network.train()
    total = 0.0
    for images, labels in found.epoch(0)[1]:
        logits = network(images)
        target = torch.full_like(logits, config.label_smoothing / 4)
        target[torch.arange(len(labels)), labels] += 1 - config.label_smoothing
        loss = -(target * logits.log_softmax(1)).sum(1).mean()
        total += float(loss.detach()) * len(labels)
        gradients = torch.autograd.grad(loss, parameters)
        norm = torch.sqrt(sum((g**2).sum() for g in gradients))
        with torch.no_grad():
            for p, v, g in zip(parameters, velocity, gradients, strict=True):
                step = g * min(1.0, config.clip / float(norm)) + config.weight_decay * p
                v.mul_(config.momentum).add_(step)
                p.sub_(rate * (step + config.momentum * v))
    return snapshot(network), total / len(found)


@pytest.mark.parametrize(
    "changes",
    [{}, {"momentum": 0.0}, {"clip": 0.01}, {"clip": 100.0, "weight_decay": 0.05}, {"label_smoothing": 0.0}],
    ids=str,
)
def test_an_epoch_equals_the_formulas(root: Path, changes: dict[str, float]) -> None:
    config, network = train(**changes), model()
    (row,) = run(network, feed(), [constant()], config)
    wanted, loss = by_hand(model(), feed(), config, 0.05)
    assert row["loss"] == pytest.approx(loss, rel=1e-5)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, wanted[name], rtol=1e-4, atol=1e-6, msg=name)


def test_a_step_is_no_longer_than_the_clip(root: Path) -> None:
    network = model()
    before = snapshot(network)
    run(network, feed(batch=48), [constant(rate=1.0)], train(clip=0.01, momentum=0.0, weight_decay=0.0))
    moved = torch.sqrt(sum(((p.detach() - before[name]) ** 2).sum() for name, p in network.named_parameters()))
    assert float(moved) == pytest.approx(0.01, rel=1e-3)


NAMES = ["stem", "stage1", "stage2", "stage3", "head"]


@pytest.mark.parametrize("opened", [1, 2, 5])
@pytest.mark.parametrize("batch_norm", ["train", "frozen", "all"])
def test_closed_blocks_stay_as_they_are(root: Path, opened: int, batch_norm: BatchNorm) -> None:
    """A first phase in which everything learns leaves momentum behind; it must not move closed blocks later."""
    network = model(dropout=0.2)
    assert [name for name, _ in blocks(network)] == NAMES
    after: list[State] = []
    plan = [constant(), constant(2, open=opened, batch_norm=batch_norm)]
    run(network, feed(), plan, train(), on_epoch=lambda epoch, row: after.append(snapshot(network)))
    for name, tensor in after[0].items():
        part = name.split(".")[0]
        is_open = part in NAMES and NAMES.index(part) >= len(NAMES) - opened
        statistic = "running" in name or "num_batches" in name
        learns = is_open and not statistic
        counts = statistic and (batch_norm == "all" or (is_open and batch_norm == "train"))
        moves = part != "normalise" and (learns or counts)
        assert torch.equal(tensor, after[2][name]) != moves, name


def test_more_blocks_than_there_are_cannot_be_opened(root: Path) -> None:
    with pytest.raises(ImpastoError, match=r"6 blocks are to learn, but the network has 5 .*Open 5 at most"):
        run(model(), feed(), [constant(open=2), constant(open=6)], train())


def test_all_blocks_learn_from_scratch(root: Path) -> None:
    network = model()
    before = snapshot(network)
    run(network, feed(), [base_phase(train(epochs=1))], train(epochs=1))
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {name for name in before if not name.startswith("normalise")}


def test_the_result_is_the_mean_of_the_averaged_epochs(root: Path) -> None:
    config = train(epochs=4, averaging={"start": 0.5})
    network, after, resume = model(), [], Resume("averaged")
    told: dict[int, Row] = {}

    def on_epoch(epoch: int, row: Row) -> None:
        assert epoch not in told
        told[epoch] = row
        after.append(snapshot(network))

    rows, last = trained(network, feed(), [base_phase(config)], config, on_epoch=on_epoch, resume=resume)
    assert list(told) == [0, 1, 2, 3, 4] and rows == list(told.values())[:4], "each epoch, then the averaged model"
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.data, (after[2][name] + after[3][name]) / 2)
    found = {f"validation_{name}": value for name, value in measure(network, stream(20, seed=9), config, CPU).items()}
    assert told[4] == found and last == rows[-1] | found != rows[-1], "the numbers are those of the averaged model"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_learns(root: Path, precision: str) -> None:
    config = train(epochs=6, period=6, precision=precision)
    history = run(model(), feed(mixed=mix(lambda_o=0.1, lambda_s=0.1)), [base_phase(config)], config)
    assert history[-1]["validation_accuracy"] >= 0.75, "three times chance"
    assert history[-1]["loss"] < history[0]["loss"]


def test_a_row_holds_the_loss_the_rate_and_the_shares(root: Path) -> None:
    (row,) = run(model(), feed(), [constant()], train())
    shares = feed().plan(0).shares()
    names = {"loss", "learning_rate", "validation_loss", "validation_accuracy", *shares}
    assert set(row) == names and row["learning_rate"] == 0.05
    assert {name: row[name] for name in shares} == shares


def test_training_that_diverges_ends_and_keeps_the_last_good_state(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second epoch's rate throws the weights out of range; what the first one came to stays to be resumed from."""
    monkeypatch.setenv("IMPASTO_SAVE_SECONDS", "1e-9")
    network, kept = model(), Resume("test")
    leaps = Phase(3, lambda epoch: 0.05 if epoch == 0 else 1e30)
    with pytest.raises(ImpastoError, match=r"loss is (nan|inf) after epoch 2: training has diverged") as error:
        run(network, feed(), [leaps], train(), resume=kept)
    assert error.value.where == "test" and "learning rate" in error.value.remedy
    state = kept.load()
    assert state and [row["learning_rate"] for row in state["history"]] == [0.05]


def test_validation_sees_plain_held_out_originals_and_nothing_else(root: Path) -> None:
    """What reaches the model in evaluation mode is the validation stream, in order, untouched."""
    network, seen = model(), []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]) if not module.training else None)
    run(
        network,
        feed(mixed=mix(lambda_o=1.0, lambda_s=1.0), augmented=augment(flip=True, crop=2)),
        [constant(2)],
        train(),
    )
    held_out = stream(20, seed=9)
    wanted = held_out.gather(torch.arange(20)).float() / 255
    assert len(seen) == 2 and all(torch.equal(images, wanted) for images in seen)


def test_measure_by_hand_and_for_any_batch_size() -> None:
    network, images = model().eval(), stream(30, seed=3)
    logits = network(images.gather(torch.arange(30)).float() / 255).detach()
    whole = measure(network, images, train(), CPU)
    assert whole["accuracy"] == pytest.approx(float((logits.argmax(1) == images.labels).float().mean()))
    loss = functional.cross_entropy(logits, images.labels, label_smoothing=0.1)
    assert whole["loss"] == pytest.approx(float(loss))
    assert measure(network, images, train(), CPU, batch=7) == pytest.approx(whole, rel=1e-5)


def test_input_is_scaled_to_one_in_the_fast_layout() -> None:
    images = to_unit(torch.full((2, 3, 4, 4), 255, dtype=torch.uint8))
    assert images.eq(1).all() and images.is_contiguous(memory_format=torch.channels_last)


def test_the_global_generator_is_left_alone(root: Path) -> None:
    before = torch.get_rng_state()
    config = train(epochs=2, averaging={"start": 0.5})
    run(model(dropout=0.5), feed(), [base_phase(config)], config)
    assert torch.equal(before, torch.get_rng_state())


def test_no_phases_pass_the_model_on(root: Path) -> None:
    network = model()
    before = snapshot(network)
    assert run(network, feed(), [], train()) == []
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
