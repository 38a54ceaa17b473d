"""A trial is the run that the stage train makes, however it is cut into segments; no test image is opened."""

from __future__ import annotations

import io
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.config.base import read_yaml
from impasto.config.tune import Tune
from impasto.data.images import Images
from impasto.errors import ImpastoError
from impasto.io import read_csv
from impasto.stages.train import train
from impasto.style.stylize import BANK
from impasto.training import Run
from impasto.tuning import inputs, objective, segment
from impasto.tuning.segment import Job, Segment, train_segment
from impasto.tuning.space import inputs_of, with_leaves
from tiny import ROOT, model

Prepare = Callable[..., Path]
AVERAGED = {"train__averaging__start": 0.5, "style__refresh": 0.5}


def job(params: Path, until: int, state: bytes | None = None, **leaves: Any) -> Job:
    tree = with_leaves(read_yaml(params), {leaf.replace("__", "."): value for leaf, value in leaves.items()})
    read = inputs_of(params.with_name("dvc.yaml"))
    return Job(str(params.parent), read, inputs.contents(params.parent, read), tree, until, state)


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


def test_parameters_of_which_nothing_can_be_built_are_a_result(searchable: Prepare) -> None:
    """Two settings that are valid each: only the network itself says that it has fewer blocks."""
    found = train_segment(job(searchable(train__averaging__start=1.0), 99, train__open=9))
    assert found.error and "9 blocks are to learn, but the network has" in found.error and not found.parts


def test_what_does_not_fit_into_memory_is_a_result(searchable: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    def advance(run: Run) -> None:
        raise torch.OutOfMemoryError("tried to allocate 3 GiB\nand more lines")

    monkeypatch.setattr(Run, "advance", advance)
    found = train_segment(job(searchable(), 99))
    assert found.error == "out of memory: tried to allocate 3 GiB and more lines"


def test_a_fault_of_the_machine_is_no_result(searchable: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk in the middle of training, and a compiler that is not there."""
    params = searchable()
    full = ImpastoError("cannot write x: No space left on device", where="/tmp/x", remedy="Free some space.")

    def advance(run: Run) -> None:
        raise full

    with monkeypatch.context() as patch, pytest.raises(ImpastoError, match="No space left"):
        patch.setattr(Run, "advance", advance)
        train_segment(job(params, 99))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ImpastoError, match="train.compile is true, but there is no no-such-compiler"):
        train_segment(job(params, 99, train__compile=True))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda root: (root / "data" / "split" / "train.npy").write_bytes(b"another"), "data/split of .* is not what"),
        (lambda root: (root / "models" / "style" / "meta.json").write_text("{}"), "models/style of .* is not what"),
        (lambda root: (root / "models" / "style" / BANK).write_bytes(b"another"), "models/style of .* is not what"),
        (lambda root: shutil.rmtree(root / "data" / "pool"), "data/pool of .* is missing"),
    ],
)
def test_a_machine_with_other_data_refuses(searchable: Prepare, change: Callable[[Path], object], told: str) -> None:
    params = searchable()
    work = job(params, 1)
    change(params.parent)
    with pytest.raises(ImpastoError, match=rf"{told}.*\[the machine {socket.gethostname()}\].*dvc pull"):
        train_segment(work)


def test_a_machine_with_other_code_refuses(searchable: Prepare) -> None:
    work = job(searchable(), 1)
    with pytest.raises(ImpastoError, match=r"src of .* is not what the search was called with"):
        train_segment(work._replace(content={**work.content, "src": "another commit"}))


def test_the_digest_of_code_is_that_of_what_training_imports(
    searchable: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, package = searchable(), tmp_path / "package"
    shutil.copytree(ROOT / "src" / "impasto", package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(inputs, "_PACKAGE", package)
    before = inputs.contents(params.parent, {})
    for name, counts in (("models/wrn.py", True), ("report/page.py", False)):
        text = (package / name).read_text()
        (package / name).write_text(text + "# another")
        assert (inputs.contents(params.parent, {}) != before) == counts
        (package / name).write_text(text)


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

    params = searchable(tune__corruptions=["contrast", "gaussian_noise"], tune__severities=[1, 5], tune__images=9)
    root, network = params.parent, model(4).eval()
    places = root / "data" / "raw" / "train", root / "data" / "split"
    shown = objective.corrupted_validation(*places, load(params, Tune), load(params, Evaluate), torch.device("cpu"))
    assert shown.pixels.shape == (4, 9, 3, 16, 16)
    images, right = Images.load(places[0]), []
    pixels = torch.from_numpy(images.pixels[48:64].copy())
    for name in ("contrast", "gaussian_noise"):
        for severity in (1, 5):
            for row in range(48, 64):
                assert not (pixels[row - 48] == shown.pixels).flatten(2).all(2).any(), "each is corrupted"
                one = corrupt(pixels[row - 48][None], name, severity, 0, torch.tensor([row]))
                places_ = [bool((one[0] == cell).all()) for cell in shown.pixels.flatten(0, 1)]
                if any(places_):
                    right.append(int(network(one.float() / 255).argmax()) == images.labels[row])
    assert len(right) == 36, "nine validation images in four cells"
    assert objective.robust_accuracy(network, shown, "fp32", batch=4) == pytest.approx(sum(right) / 36)
