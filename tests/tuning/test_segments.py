"""A trial is the run that the stage train makes, however it is cut into segments; no test image is opened."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.config.base import read_yaml
from impasto.config.tune import Tune
from impasto.data.images import Images
from impasto.io import read_csv
from impasto.stages.train import train
from impasto.tuning import objective, segment
from impasto.tuning.segment import Job, Segment, train_segment
from impasto.tuning.space import inputs_of, with_leaves
from tiny import model

Prepare = Callable[..., Path]
AVERAGED = {"train__averaging__start": 0.5, "style__refresh": 0.5}


def job(params: Path, until: int, state: bytes | None = None, **leaves: Any) -> Job:
    tree = with_leaves(read_yaml(params), {leaf.replace("__", "."): value for leaf, value in leaves.items()})
    return Job(str(params.parent), inputs_of(params.with_name("dvc.yaml")), "content", tree, until, state)


def whole(params: Path, cuts: tuple[int, ...] = (), **leaves: Any) -> Segment:
    state = None
    for until in (*cuts, 99):
        found = train_segment(job(params, until, state, **leaves))
        assert found.error is None and found.done == (until == 99) and (found.state is None) == found.done
        state = found.state
    return found


def curve(root: Path) -> list[dict[str, str]]:
    """The training curve that the stage train writes, from the same folder."""
    given = {name: root / path for name, path in inputs_of(root / "dvc.yaml").items()}
    outs = {name: root / f"out-{name}" for name in ("out", "metrics", "curve", "timing")}
    train(**given, **outs, params=root / "params.yaml")
    return read_csv(outs["curve"])


def test_a_trial_is_the_run_of_the_stage_train(
    root: Path, searchable: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, cut or not, with averaging and a rolling bank of paintings."""
    monkeypatch.setattr("impasto.tracking.stage._begin", lambda *_: None)
    params = searchable(**AVERAGED)
    once, cut = whole(params), whole(params, cuts=(1, 3))
    assert once.rows == cut.rows and once.parts == cut.parts
    stage = curve(root)
    assert len(stage) == len(once.rows) == 4
    for ours, theirs in zip(once.rows, stage, strict=True):
        for name in ("loss", "validation_loss", "validation_accuracy", "learning_rate", "share_stylised_o"):
            assert ours[name] == float(theirs[name]), name


def test_the_test_split_is_never_opened(searchable: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none in the folder, and nothing looks for one."""
    params, opened = searchable(), []
    real = Images.load

    def load(folder: Path) -> Images:
        opened.append(folder)
        return real(folder)

    monkeypatch.setattr(Images, "load", load)
    assert not (params.parent / "data" / "raw" / "test").exists()
    assert whole(params).parts["objective"] > 0
    assert {path.relative_to(params.parent).as_posix() for path in opened} == {"data/raw/train", "data/pool"}


def test_a_schedule_moves_with_the_state(searchable: Prepare) -> None:
    """With one share up to an epoch and another one from there on, a trial is the run of that schedule."""
    params = searchable()
    first = train_segment(job(params, 2, **{"lambda": {0: 0.5}}))
    second = train_segment(job(params, 99, first.state, **{"lambda": {0: 0.5, 2: 0.0}}))
    assert second.rows == whole(params, **{"lambda": {0: 0.5, 2: 0.0}}).rows
    assert [row["share_synthetic"] for row in second.rows] == pytest.approx([0.5, 0.5, 0.0, 0.0], abs=0.02)


def test_another_trial_in_the_same_process_reads_its_own_parameters(searchable: Prepare) -> None:
    params = searchable()
    one = whole(params, augment__flip=False)
    other = whole(params, augment__flip=True)
    assert one.rows != other.rows and whole(params, augment__flip=False).rows == one.rows
    held = segment._opened[0]
    whole(params, lambda_s=0.1)
    assert segment._opened[0] is held, "what it shares with the last one is not opened anew"
    whole(params, balance__p1=0.5, balance__p2=0.5, balance__copy="duplicate")
    assert segment._opened[0] is not held


def test_a_training_that_diverges_is_a_result(searchable: Prepare) -> None:
    found = train_segment(job(searchable(), 99, train__learning_rate=1e30, train__clip=1e30))
    assert found.error and "diverged" in found.error and found.done and found.state is None and not found.parts


def test_the_state_holds_no_average_before_there_is_one(searchable: Prepare) -> None:
    params = searchable()
    found = train_segment(job(params, 1))
    assert found.state
    state = torch.load(io.BytesIO(found.state), weights_only=True)
    assert state["average"] is None
    parameters = sum(tensor.numel() for tensor in state["model"].values())
    assert len(found.state) < 4 * 2.5 * parameters + 60_000, "weights, momentum and little else"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("accuracy", 0.5),
        ("robust_accuracy", 0.1),
        ("balanced_accuracy", 0.25),
        ("accuracy_and_robust", 0.3),
        ("balanced_and_robust", 0.175),
    ],
)
def test_objectives(kind: Any, value: float) -> None:
    row = {"accuracy": 0.5, "robust_accuracy": 0.1, "balanced_accuracy": 0.25}
    assert objective.objective(kind, row) == pytest.approx(value)


def test_robust_accuracy_is_the_mean_over_cells(searchable: Prepare) -> None:
    """Against a loop over single images."""
    from impasto.config.base import load
    from impasto.config.evaluate import Evaluate
    from impasto.corruptions.registry import corrupt
    from impasto.io import read_npy

    params = searchable(tune__corruptions=["contrast", "gaussian_noise"], tune__severities=[1, 5], tune__images=9)
    root, network = params.parent, model(4).eval()
    places = root / "data" / "raw" / "train", root / "data" / "split"
    shown = objective.corrupted_validation(*places, load(params, Tune), load(params, Evaluate), torch.device("cpu"))
    assert shown.pixels.shape == (4, 9, 3, 16, 16)
    images, right, validation = Images.load(places[0]), [], set(read_npy(places[1] / "validation.npy").tolist())
    plain = [row for row in sorted(validation) for cell in shown.pixels[:1] for image in cell[:0]]
    assert plain == []
    pixels = torch.from_numpy(images.pixels[48:64].copy())
    for name in ("contrast", "gaussian_noise"):
        for severity in (1, 5):
            for row in range(48, 64):
                one = corrupt(pixels[row - 48][None], name, severity, 0, torch.tensor([row]))
                places_ = [bool((one[0] == cell).all()) for cell in shown.pixels.flatten(0, 1)]
                if any(places_):
                    right.append(int(network(one.float() / 255).argmax()) == images.labels[row])
    assert len(right) == 36, "nine validation images in four cells"
    assert objective.robust_accuracy(network, shown, "fp32", batch=4) == pytest.approx(sum(right) / 36)
