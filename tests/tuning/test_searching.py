"""Grid and Bayes: points, early stopping, what is on record, and what is refused before anything starts."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from impasto.commands.tune import tune
from impasto.config.all import check
from impasto.config.tune import Halving, Search
from impasto.errors import ImpastoError
from impasto.io import read_csv, read_json, write_json
from impasto.tracking.search import SearchRun
from impasto.tuning import space
from impasto.tuning.halving import Rungs
from impasto.tuning.importance import importance
from impasto.tuning.page import write_page
from impasto.tuning.record import Trial
from impasto.tuning.results import Done, best_of, leaves_of, write_preset, write_trials
from impasto.tuning.run import alone, carry_out, prepare
from impasto.tuning.segment import Job, Segment
from impasto.tuning.workers import Here
from tiny import ROOT, change

Prepare = Callable[..., Path]
PIPELINE = ROOT / "dvc.yaml"


def grid(**values: list[Any]) -> dict[str, Any]:
    return {
        "method": "grid",
        "space": [{"parameter": leaf.replace("__", "."), "values": found} for leaf, found in values.items()],
    }


class Made:
    """Stands in for training: a trial's objective is a number of its leaves, the same after every epoch."""

    def __init__(self, worth: Callable[[dict[str, Any]], float], slots: int = 2, after: int = 10**6) -> None:
        self.worth, self.slots, self.left = worth, slots, after
        self.waiting: list[tuple[int, Job]] = []
        self.jobs: list[Job] = []

    def start(self, trial: int, job: Job) -> None:
        self.waiting.append((trial, job))

    def wait(self) -> tuple[int, Segment]:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        trial, job = self.waiting.pop()
        self.jobs.append(job)
        score = self.worth(dict(job.params))
        if np.isnan(score):
            return trial, Segment([], {}, True, None, 0.1, "training has diverged")
        rows = [{"loss": 1.0 / (epoch + 1)} for epoch in range(job.until)]
        done = job.until == job.params["train"]["epochs"]
        return trial, Segment(rows, {"objective": score, "accuracy": score}, done, None if done else b"state", 0.1)


def run(root: Path, workers: Made) -> list[Done]:
    return carry_out(prepare(root, root / "params.yaml"), workers, SearchRun(None), 1, lambda done: None)


def test_each_search_begins_at_the_best_so_far(root: Path, searchable: Prepare) -> None:
    searchable(tune__searches=[grid(lambda_s=[0.2, 0.6, 0.4]), grid(augment__flip=[False, True])])
    workers = Made(lambda tree: tree["lambda_s"] + 0.1 * tree["augment"]["flip"])
    done = run(root, workers)
    assert [len(one.trials) for one in done] == [3, 2]
    assert done[1].base == {"lambda_s": 0.6} and {job.params["lambda_s"] for job in workers.jobs[-2:]} == {0.6}
    one, trial = best_of(done)
    assert leaves_of(one, trial, None) == {"lambda_s": 0.6, "augment.flip": True} and trial.score == pytest.approx(0.7)


def test_a_later_search_that_is_worse_changes_nothing(root: Path, searchable: Prepare) -> None:
    searchable(tune__searches=[grid(lambda_s=[0.2, 0.6]), grid(train__clip=[2.0])])
    one, trial = best_of(run(root, Made(lambda tree: tree["lambda_s"] - tree["train"]["clip"])))
    assert leaves_of(one, trial, None) == {"lambda_s": 0.6}


def test_a_killed_search_repeats_no_segment(root: Path, searchable: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.tuning.context.SAVE_SECONDS", 0.01)  # an epoch at a time
    searchable(tune__searches=[grid(lambda_s=[0.1, 0.2, 0.3], lambda_o=[0.1, 0.2])])
    worth = lambda tree: tree["lambda_s"]  # noqa: E731
    seen = []
    for after in (5, 0, 3, 7, 10**6):
        workers = Made(worth, after=after)
        with suppress(KeyboardInterrupt):
            found = run(root, workers)
        seen += [(job.params["lambda_s"], job.params["lambda_o"], job.until) for job in workers.jobs]
    assert len(seen) == len(set(seen)) == 6 * 4
    assert all(trial.status == "finished" and trial.epochs == 4 for trial in found[0].trials)
    again = Made(worth)
    assert run(root, again) == found and not again.jobs


def test_a_fault_that_is_not_the_trials_ends_the_search_and_is_repeated(
    root: Path, searchable: Prepare, find: Callable[..., list[Done]]
) -> None:
    """Data that are gone in the middle: one error, no failed trial, and the same call ends where it would have."""
    searchable(tune__searches=[grid(style__refresh=[1.0, 0.5])], train__epochs=2, tune__objective="accuracy")

    class Losing(Here):
        def wait(self) -> tuple[int, Segment]:
            if self._jobs[0][0] == 1:
                (root / "data" / "pool").rename(root / "gone")
            return super().wait()

    with pytest.raises(ImpastoError, match="data/pool of .* is missing"):
        find(Losing())
    files = sorted(root.glob("sweeps/*/*/*.json"))
    assert {read_json(path)["status"] for path in files} == {"finished", "running"}
    (root / "gone").rename(root / "data" / "pool")
    found = find()[0].trials
    assert [trial.status for trial in found] == ["finished"] * 2
    shutil.rmtree(root / "sweeps")
    assert [(one.rows, one.parts) for one in find()[0].trials] == [(one.rows, one.parts) for one in found]


def test_of_a_grid_a_record_that_is_deleted_is_computed_again(root: Path, searchable: Prepare) -> None:
    searchable(tune__searches=[grid(lambda_s=[0.1, 0.2, 0.3])])
    failing = Made(lambda tree: float("nan") if tree["lambda_s"] == 0.2 else tree["lambda_s"])
    assert [trial.status for trial in run(root, failing)[0].trials] == ["finished", "failed", "finished"]
    (record,) = root.glob("sweeps/*/1-grid/0001-*.json")
    record.unlink()
    again = Made(lambda tree: tree["lambda_s"])
    assert [trial.score for trial in run(root, again)[0].trials] == [0.1, 0.2, 0.3]
    assert {job.params["lambda_s"] for job in again.jobs} == {0.2}


def test_a_second_process_at_the_same_search_is_refused(
    root: Path, searchable: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before it computes, writes or logs anything; afterwards the search is free."""
    params = searchable(tune__searches=[grid(lambda_s=[0.1])])
    monkeypatch.setattr("impasto.commands.tune.search_run", None)
    plan = prepare(root, params)
    with alone(plan), pytest.raises(typer.Exit) as refused:
        tune(here=True)
    told = capsys.readouterr().err
    assert refused.value.exit_code == 2 and told.count("\n") == 1
    assert f"another process is at this search [{plan.folder}]. Wait for it" in told
    assert not list(plan.folder.glob("*/*")) and not (root / "tune").exists()
    with alone(plan):
        pass


def test_what_applies_the_best_can_be_pasted(
    root: Path, searchable: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    searchable(tune__searches=[grid(lambda_s=[0.1])])
    monkeypatch.setattr("impasto.commands.tune.search_run", lambda *_: nullcontext(SearchRun(None)))
    monkeypatch.setattr("impasto.commands.tune.Here", lambda: Made(lambda tree: 0.5))
    tune(here=True, out=root / "what was found")
    line = capsys.readouterr().out.splitlines()[-1].removeprefix("apply it: ")
    assert shlex.split(line)[:3] == ["impasto", "preset", str(root / "what was found" / "best.yaml")]


def test_other_parameters_are_another_search(root: Path, searchable: Prepare) -> None:
    params = searchable(tune__searches=[grid(lambda_s=[0.1, 0.2])])
    key = prepare(root, params).key
    for leaf, value in (("lambda", 0.3), ("tune__seed", 1), ("tune__images", 13)):
        text = params.read_text()
        change(params, **{leaf: value})
        assert prepare(root, params).key != key
        params.write_text(text)
    params.write_text(params.read_text().replace("bootstrap: 2000", "bootstrap: 2000 # told"))
    assert prepare(root, params).key == key


def test_failed_trials_are_told_and_left_behind(root: Path, searchable: Prepare) -> None:
    searchable(tune__searches=[grid(lambda_s=[0.1, 0.2, 0.3])])
    done = run(root, Made(lambda tree: float("nan") if tree["lambda_s"] == 0.3 else tree["lambda_s"]))
    assert [trial.status for trial in done[0].trials] == ["finished", "finished", "failed"]
    assert best_of(done)[1].leaves == {"lambda_s": 0.2}
    write_trials(root / "trials.csv", done)
    rows = read_csv(root / "trials.csv")
    assert [row["lambda_s"] for row in rows] == ["0.1", "0.2", "0.3"] and rows[2]["error"] == "training has diverged"
    assert [row["objective"] for row in rows] == ["0.1", "0.2", ""]
    searchable_again = Made(lambda tree: float("nan"))
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("0.3", "0.35"))
    with pytest.raises(
        ImpastoError, match="no trial has finished; the first fault was: training has diverged .*: trials.csv"
    ):
        run(root, searchable_again)


def test_poor_trials_are_stopped_at_the_rungs(root: Path, searchable: Prepare) -> None:
    values = [0.5, 0.1, 0.9, 0.2, 0.65, 0.3]
    search = grid(lambda_s=values) | {"halving": {"grace": 1, "reduction": 2}}
    searchable(tune__searches=[search], train__epochs=4)
    trials = run(root, Made(lambda tree: tree["lambda_s"], slots=1))[0].trials
    assert {t.leaves["lambda_s"]: (t.status, t.epochs) for t in trials} == {
        0.5: ("finished", 4), 0.1: ("stopped", 1), 0.9: ("finished", 4), 0.2: ("stopped", 1), 0.65: ("stopped", 2),
        0.3: ("stopped", 1),
    }  # fmt: skip


def test_rungs_keep_the_best_part() -> None:
    rungs = Rungs(Halving(grace=2, reduction=3), 30)
    assert rungs.places == [2, 6, 18] and [rungs.after(epoch) for epoch in (0, 2, 6, 18)] == [2, 6, 18, None]
    draws = np.random.default_rng(0)
    scores, passed = draws.random(400), []
    for number, score in enumerate(scores):
        passed.append(rungs.passes(2, score))
        cutoff = np.quantile(scores[:number], 2 / 3) if number else 0
        assert passed[-1] == (score >= cutoff)
    assert 0.28 < np.mean(passed) < 0.4 and rungs.passes(5, 0.0) and Rungs(None, 9).places == []


def test_rungs_decide_as_those_of_ray() -> None:
    pytest.importorskip("ray", reason="the extra `tune` is not installed")
    from types import SimpleNamespace

    from ray.tune.schedulers import ASHAScheduler

    theirs = ASHAScheduler(
        time_attr="epoch", metric="objective", mode="max", grace_period=1, reduction_factor=3, max_t=27
    )
    ours, draws, trials = Rungs(Halving(grace=1, reduction=3), 27), np.random.default_rng(1), []
    for number in range(60):
        trial = SimpleNamespace(trial_id=str(number))
        theirs.on_trial_add(None, trial)
        trials.append(trial)
    for trial in trials:
        for epoch in (1, 3, 9):
            score = float(draws.random())
            decision = theirs.on_trial_result(None, trial, {"epoch": epoch, "objective": score})
            assert ours.passes(epoch, score) == (decision == "CONTINUE")
            if decision != "CONTINUE":
                break


SPACES: list[tuple[dict[str, Any], str]] = [
    (grid(lambda_s=[0.1, 1.2]), "lambda_s = 1.2 is refused: lambda_s = 1.2: it must be less than or equal to 1"),
    (grid(train__optimiser=["sgd"]), "unknown parameter 'train.optimiser'.*Did you mean 'train.optimizer'"),
    (grid(train__optimizer=["sgdd"]), "train.optimizer = sgdd is refused"),
    (grid(train__loss=["cross_entropy", "focal"]), "train.loss = focal is refused: .*gamma must not be null"),
    (grid(seeds=[[0], [1]]), "seeds is a seed"),
    (grid(train__epochs=[3, 4]), "train.epochs is what all trials have in common .*tune.epochs"),
    (grid(style__count=[300]), "style.count belongs to the stage style, whose outputs all trials share"),
    (grid(style__upscale=[32]), "style.upscale belongs to the stage style"),
    (grid(dataset__size=[32]), "dataset.size belongs to the stage download"),
    (grid(synthetic__count=[130]), "synthetic.count belongs to the stage select"),
    (grid(finetune__copies=["kept"]), "finetune.copies belongs to finetune, and training does not read it"),
    (grid(lambda_s=[k / 100 for k in range(100)], lambda_o=[k / 100 for k in range(100)]), "more than 4096 points"),
    (grid(lambda_s=[0.1, 0.2]) | {"halving": {"grace": 4, "reduction": 3}}, "grace is 4, but a trial has 4 epochs"),
    ({"method": "pbt", "trials": 4, "interval": 4, "space": [{"parameter": "lambda", "values": [0.0, 0.5]}]},
     "a population of 4 epochs is never compared"),
]  # fmt: skip


@pytest.mark.parametrize(("search", "told"), SPACES, ids=range(len(SPACES)))
def test_what_cannot_be_searched_is_told_before_anything_starts(
    root: Path, searchable: Prepare, search: dict[str, Any], told: str
) -> None:
    params = searchable(tune__searches=[search])
    with pytest.raises(ImpastoError, match=told):
        prepare(root, params)


SHAPES: list[tuple[dict[str, Any], str]] = [
    ({"low": 0.5, "high": 0.1}, "low 0.5 is not below high 0.1: the range is empty"),
    ({"low": 0.5, "high": 0.5}, "the range is empty"),
    ({"low": 0.0, "high": 0.5, "log": True}, "low 0 has no logarithm"),
    ({"low": 0.5, "high": 2.0, "integer": True}, "whole ends"),
    ({"low": 0.5}, "neither values nor both ends"),
    ({"values": []}, "it has no values"),
    ({"values": [1, 1]}, "a value stands twice"),
    ({"values": [{"a": 1}]}, "it must be numbers, texts"),
    ({"values": [0.1], "low": 0.1, "high": 0.2}, "it has values and a range"),
    ({"lows": 0.1}, "unknown key 'tune.searches.0.space.0.lows' .*Did you mean 'low'"),
]


@pytest.mark.parametrize(("shape", "told"), SHAPES, ids=range(len(SHAPES)))
def test_a_wrong_dimension_is_told_by_check(searchable: Prepare, shape: dict[str, Any], told: str) -> None:
    search = {"method": "bayes", "trials": 3, "space": [{"parameter": "train.learning_rate", **shape}]}
    with pytest.raises(ImpastoError, match=told):
        check(searchable(tune__searches=[search]))


SHARES = [{"parameter": "lambda", "values": [0.0, 0.5]}]
METHODS: list[tuple[dict[str, Any], str]] = [
    ({"method": "grid", "trials": 3, "space": SHARES}, "its values say how many trials"),
    ({"method": "grid", "space": [{"parameter": "lambda", "low": 0, "high": 1}]}, "lambda has a range"),
    ({"method": "bayes", "space": SHARES}, "it needs trials"),
    ({"method": "bayes", "trials": 0, "space": SHARES}, "trials = 0"),
    ({"method": "bayes", "trials": 2, "space": SHARES * 2}, "lambda stands twice"),
    ({"method": "bayes", "trials": 2, "space": SHARES, "interval": 1}, "interval belongs to pbt"),
    ({"method": "pbt", "trials": 1, "interval": 1, "space": SHARES}, "two members at least, not 1"),
    ({"method": "pbt", "trials": 4, "space": SHARES}, "it needs an interval"),
    ({"method": "pbt", "trials": 4, "interval": 1, "space": SHARES, "quantile": 0.6}, "quantile = 0.6"),
    ({"method": "pbt", "trials": 4, "interval": 1, "space": [{"parameter": "train.clip", "values": [0.5, 1.0]}]},
     "train.clip does not follow a schedule: lambda, lambda_o, lambda_s do"),
    ({"method": "pbt", "trials": 4, "interval": 1, "space": [{"parameter": "lambda", "values": [0.5, 0.0]}]},
     "ascending"),
    ({"method": "pbt", "trials": 4, "interval": 1, "space": SHARES, "halving": {"grace": 1, "reduction": 2}}, "itself"),
    ({"method": "random", "trials": 4, "space": SHARES}, "method = 'random'"),
]  # fmt: skip


@pytest.mark.parametrize(("search", "told"), METHODS, ids=range(len(METHODS)))
def test_a_wrong_search_is_told_by_check(searchable: Prepare, search: dict[str, Any], told: str) -> None:
    with pytest.raises(ImpastoError, match=told):
        check(searchable(tune__searches=[search]))


def test_a_share_of_two_populations_is_told_before_anything_starts(root: Path, searchable: Prepare) -> None:
    """The first one makes a schedule of it, with which the second could not begin."""
    pbt = {"method": "pbt", "trials": 2, "interval": 1}
    other = {"parameter": "lambda_o", "values": [0.1, 0.2]}
    first, second = pbt | {"space": SHARES}, pbt | {"space": [other]}
    with pytest.raises(ImpastoError, match="lambda is in the populations of searches 1 and 3: the first makes a sched"):
        prepare(
            root,
            searchable(tune__searches=[first, second, pbt | {"space": [other | {"parameter": "lambda_s"}, *SHARES]}]),
        )


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("models/style", "models/style does not exist .*`dvc repro style`"),
        ("data/split", "data/split does not exist .*`dvc repro split`"),
        ("data/synthetic data/pool", "data/pool, data/synthetic do not exist .*`dvc repro generate select`"),
    ],
)
def test_stages_that_were_not_run_are_named(root: Path, searchable: Prepare, gone: str, told: str) -> None:
    params = searchable()
    for path in gone.split():
        shutil.rmtree(root / path)
    with pytest.raises(ImpastoError, match=told):
        prepare(root, params)


def test_stages_that_were_run_with_other_parameters_are_named(root: Path, searchable: Prepare) -> None:
    params = searchable()
    lock = {"stages": {"style": {"params": {"params.yaml": {"style.count": 400, "style": {"size": 99}}}}}}
    write_json(root / "dvc.lock", lock)
    with pytest.raises(ImpastoError, match="style.size is 32, but style was run with 99 .*`dvc repro train`"):
        prepare(root, params)


def test_an_empty_validation_split_and_an_empty_list_are_told(root: Path, searchable: Prepare) -> None:
    from impasto.io import write_npy

    with pytest.raises(ImpastoError, match="tune.searches is empty"):
        prepare(root, searchable(tune__searches=[]))
    write_npy(root / "data" / "split" / "validation.npy", np.arange(0))
    (root / "params.yaml").write_text((root / "params.yaml").read_text().replace("searches: []", "searches:\n" + (
        "    - {method: grid, space: [{parameter: lambda_s, values: [0.1]}]}")))  # fmt: skip
    with pytest.raises(ImpastoError, match="the validation split is empty"):
        prepare(root, root / "params.yaml")


def test_inputs_are_those_of_train_and_no_test_split_is_among_them() -> None:
    assert space.inputs_of(PIPELINE) == {
        "images": "data/raw/train", "split": "data/split", "pool": "data/pool", "synthetic": "data/synthetic",
        "style": "models/style",
    }  # fmt: skip
    assert set(space.above(PIPELINE).values()) == {"download", "split", "generate", "select", "style"}


def test_the_best_as_a_preset_is_read_back(root: Path, searchable: Prepare) -> None:
    from impasto.commands.preset import preset
    from impasto.config.base import flatten, read_yaml

    params = searchable()
    before = dict(flatten(read_yaml(params)))
    leaves = {"lambda": {0: 0.5, 2: 0.25}, "train.learning_rate": 0.02, "alpha_s": [0.5, 1.0], "augment.flip": True}
    write_preset(root / "tune" / "best.yaml", leaves, "The best of 3 trials")
    (root / "presets").mkdir()
    preset(["tune/best.yaml"], params=params)
    assert dict(flatten(read_yaml(params))) == before | leaves
    assert (root / "tune" / "best.yaml").read_text().startswith("# The best of 3 trials\nlambda: {0: 0.5, 2: 0.25}\n")


def made_trials(n: int, **noise: float) -> list[Trial]:
    draws = np.random.default_rng(0)
    found = []
    for number in range(n):
        a, b = draws.random(2)
        score = float(3 * a + noise.get("b", 0.0) * b + 0.02 * draws.normal())
        leaves = {"train.learning_rate": float(10 ** (-3 * a)), "lambda_s": float(b)}
        found.append(Trial(0, number, leaves, [{}], {1: {"objective": score}}, status="finished"))
    return found


RANGES = Search.model_validate({
    "method": "bayes", "trials": 40,
    "space": [{"parameter": "train.learning_rate", "low": 0.001, "high": 1.0, "log": True},
              {"parameter": "lambda_s", "low": 0.0, "high": 1.0}]})  # fmt: skip


def test_importance_finds_what_matters_and_says_nothing_of_noise() -> None:
    found = importance(RANGES, made_trials(40))
    assert found and found.n == 40 and found.explained > 0.9
    assert found.lost["train.learning_rate"] > 10 * found.lost["lambda_s"]
    noise = made_trials(40)
    for trial in noise:
        trial.measured = {1: {"objective": float(np.random.default_rng(trial.number).normal())}}
    nothing = importance(RANGES, noise)
    assert nothing and nothing.explained < 0.2 and importance(RANGES, made_trials(9)) is None


def test_stopped_trials_are_compared_where_all_were(root: Path) -> None:
    trials = made_trials(20)
    for trial in trials[:15]:
        trial.measured[9] = {"objective": 100.0}
    found = importance(RANGES, trials)
    assert found and found.epochs == 1 and found.explained > 0.5


def test_the_page_holds_its_pictures(root: Path, searchable: Prepare) -> None:
    from impasto.config.base import load
    from impasto.config.tune import Tune

    params = searchable()
    shares = [{"parameter": "lambda", "values": [0.0, 0.5]}]
    pbt = Search.model_validate({"method": "pbt", "trials": 2, "interval": 1, "space": shares})
    member = Trial(1, 0, {"lambda": {0: 0.5, 2: 0.0}}, [{}] * 4, {4: {"objective": 0.3}}, status="finished")
    failed = Trial(0, 40, dict(made_trials(1)[0].leaves), status="failed", error="<b>diverged</b>")
    done = [Done(RANGES, {}, [*made_trials(12), failed]), Done(pbt, {}, [member])]
    files = write_page(root / "tune", load(params, Tune), done)
    names = {path.name for path in files}
    assert names == {"report.html", "1-coordinates.png", "1-importance.png", "2-schedule.png"}
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in files if path.suffix == ".png")
    page = files[0].read_text()
    assert page.count("data:image/png;base64,") == 6 and "://" not in page
    assert "n = 12 trials" in page and "<b>" not in page
    assert not re.search(r"\d\.\d{12}", re.sub(r"base64,\S+", "", page)), "numbers are for the eye"
