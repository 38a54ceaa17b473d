"""benchmarks/run.py keeps what was measured, and refuses what it does not know; the ablation can be asked for."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML
from scipy import stats

from impasto.config.all import check
from impasto.config.style import Difference, Style
from tiny import ROOT, change

Benchmark = Callable[[str], ModuleType]
FOLDER = ROOT / "benchmarks"


def unlisted(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Modules of a folder that have a ``measure`` and are not among the names."""
    functions = {
        file.stem: [each.name for each in ast.parse(file.read_text()).body if isinstance(each, ast.FunctionDef)]
        for file in sorted(folder.glob("*.py"))
    }
    return [name for name, found in functions.items() if "measure" in found and name not in names]


@pytest.fixture
def run(benchmark: Benchmark, root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/run.py with three benchmarks of its own, and results of an earlier run in the current folder."""
    found, folder = benchmark("run"), root / "benchmarks"
    folder.mkdir()
    (folder / "shared.py").write_text("VALUE = 4.5\n")
    (folder / "quick.py").write_text("import shared\ndef measure():\n    print('x')\n    return {'s': shared.VALUE}\n")
    (folder / "broken.py").write_text("def measure():\n    return 1 / 0\n")
    (folder / "other.py").write_text("import os\ndef measure():\n    return {'process': os.getpid()}\n")
    monkeypatch.setattr(found, "FOLDER", folder)
    monkeypatch.setattr(found, "NAMES", ("quick", "broken", "other"))
    (root / "metrics").mkdir()
    (root / "metrics" / "benchmarks.json").write_text('{"other": {"process": 0}, "quick": {"s": 1, "old": 2}}')
    return found


def results() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads(Path("metrics/benchmarks.json").read_text())
    assert [file.name for file in Path("metrics").iterdir()] == ["benchmarks.json"], "nothing half written"
    return found


def test_every_benchmark_is_listed(benchmark: Benchmark) -> None:
    listed = benchmark("run").NAMES
    assert unlisted(FOLDER, listed) == []
    assert unlisted(FOLDER, listed[:-1]) == [listed[-1]]


def test_a_result_replaces_its_own_and_no_other(run: ModuleType) -> None:
    assert run.main(["quick"]) == 0
    found = results()
    assert found["other"] == {"process": 0}
    assert found["quick"] == {"s": 4.5, "cores": os.cpu_count(), "load_before": found["quick"]["load_before"]}
    assert run.main(["other"]) == 0 and results()["other"]["process"] != os.getpid(), "a process of its own"


def test_a_benchmark_that_fails_leaves_those_before_it(run: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run.main([])
    assert "ZeroDivisionError" in capfd.readouterr().err
    found = results()
    assert found["quick"]["s"] == 4.5 and found.keys() == {"quick", "other"} and found["other"] == {"process": 0}


def test_results_that_do_not_fit_the_disk_leave_the_old_ones(
    run: ModuleType, small_disk: None, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("metrics/benchmarks.json").read_text()
    (run.FOLDER / "quick.py").write_text("def measure():\n    return {'s': 'x' * 5000}\n")
    assert run.main(["quick"]) == 2
    assert capsys.readouterr().err.startswith("error: cannot write metrics/benchmarks.json")
    assert results() and Path("metrics/benchmarks.json").read_text() == before


def test_an_unknown_name_is_one_line_before_anything_is_measured(benchmark: Benchmark, root: Path) -> None:
    words = [sys.executable, str(ROOT / "benchmarks" / "run.py"), "stylise", "stylize"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    names = ", ".join(benchmark("run").NAMES)
    wanted = f"error: there is no benchmark stylize [benchmarks/run.py]. There are {names}.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", wanted)
    assert not list(root.iterdir())


@pytest.mark.parametrize("arm", [file.stem.removeprefix("arm-") for file in (ROOT / "presets").glob("arm-*.yaml")])
def test_every_arm_of_the_ablation_is_valid(
    benchmark: Benchmark, params: Path, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    monkeypatch.chdir(ROOT)
    ablation = benchmark("ablation")
    assert arm in ablation.ARMS
    options = ablation.settings(arm)
    assert set(options[::2]) == {"-S"}
    read = YAML(typ="safe", pure=True).load
    leaves = dict(word.split("=", 1) for word in options[1::2])
    change(params, **{leaf.replace(".", "__"): read(value) for leaf, value in leaves.items()})
    check(params)


def test_every_arm_of_the_claims_is_valid(
    benchmark: Benchmark, params: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    claims, read, original = benchmark("claims"), YAML(typ="safe", pure=True).load, params.read_text()
    queue, seen = claims.queue("digits"), set()
    for words in queue.values():
        params.write_text(original)
        change(params, **{k.replace(".", "__"): read(v) for k, v in (w.split("=", 1) for w in words[1::2] if "=" in w)})
        check(params)
        seen.add(params.read_text())
    assert len(seen) == len(queue) == 19 + 4 and queue["digits-curve-4"] == ["-S", "seed=4", "fid"]


@pytest.mark.parametrize(("workers", "left"), [(0, ["aaaaaa1"]), (1, [])], ids=["no worker", "a worker"])
def test_what_a_killed_worker_left_as_running_is_given_up(
    benchmark: Benchmark, root: Path, monkeypatch: pytest.MonkeyPatch, workers: int, left: list[str]
) -> None:
    """Else it would be waited for for ever; what a living process runs, and what waits, is left."""
    experiments, killed = benchmark("experiments"), []
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for task, process in (("aaaaaa1", dead.pid), ("bbbbbb2", os.getpid())):
        file = root / ".dvc/tmp/exps/run" / f"{task}0123" / f"{task}0123.pid"
        file.parent.mkdir(parents=True)
        file.write_text(str(process))

    def dvc(*words: str) -> str:
        if words != ("queue", "status"):
            killed.append(words[-1])
            assert words[:-1] == ("queue", "kill", "--force")
        rows = "".join(
            f"{task}  {name}  02:32 PM   {state}\n"
            for task, name, state in (
                ("aaaaaa1", "one", "Failed" if killed else "Running"),
                ("bbbbbb2", "two", "Running"),
                ("cccccc3", "Running", "Queued"),
            )
        )
        return f"Task  Name  Created  Status\n{rows}\nWorker status: {workers} active, 0 idle\n"

    monkeypatch.setattr(experiments, "dvc", dvc)
    assert ("Failed" in experiments.status()) is bool(left) and killed == left


def test_the_eight_arms_are_the_same_experiments_in_the_ablation_and_the_claims(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    ablation, queue = benchmark("ablation"), benchmark("claims").queue("digits")
    shared = [arm for arm in ablation.ARMS if ablation.title("digits", arm, ablation.SEEDS) in queue]
    assert shared == list(ablation.ARMS[:8])
    assert all(queue[f"digits-{arm}-5-seeds"] == ablation.settings(arm) for arm in shared)


def test_the_subset_of_cifar_is_asked_for_by_its_whole_path_or_told_missing(
    benchmark: Benchmark, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = benchmark("claims")
    shutil.copytree(ROOT / "presets", root / "presets")
    with pytest.raises(SystemExit, match=r"error: data/official/cifar-10-subset.tar.gz, .* does not exist; put it"):
        claims.queue("cifar10-subset")
    archive = root / "data/official/cifar-10-subset.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.touch()
    queue = claims.queue("cifar10-subset")
    assert list(queue) == [f"cifar10-subset-{arm}-5-seeds" for arm in ("nst-ta", "nst-ta-mix", "nst-ta-re-n")]
    assert all(f"dataset.root={archive}" in words and "augment.trivial=true" in words for words in queue.values())


def test_every_arm_of_the_differences_is_valid(
    benchmark: Benchmark, params: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    differences, read, original = benchmark("differences"), YAML(typ="safe", pure=True).load, params.read_text()
    asked = {}
    for arm in differences.ARMS:
        params.write_text(original)
        words = differences.settings(arm)[1::2]
        change(params, **{k.replace(".", "__"): read(v) for k, v in (word.split("=", 1) for word in words)})
        asked[arm] = check(params)[Style].differences
    names = get_args(Difference)
    assert asked == {"text": (), **{name: (name,) for name in names}, "code": names}
    assert {arm for arm, _ in differences.PAIRS} == set(names) | {"code"}


def test_what_the_claims_ran_is_gathered_by_seed(benchmark: Benchmark) -> None:
    claims = benchmark("claims")
    seeds = {str(seed): {"clean": seed / 10, "C": seed / 20, "C_bar": 0.0} for seed in (4, 3, 2, 1, 0)}
    assert claims.by_seed(seeds) == {"clean": [0.0, 0.1, 0.2, 0.3, 0.4], "C": [0.0, 0.05, 0.1, 0.15, 0.2]}
    assert claims.curve("lambda_s,distance\n0.0,1.5\n1.0,2.5\n") == {"lambda_s": [0, 1], "distance": [1.5, 2.5]}


def test_differences_of_arms_are_paired(benchmark: Benchmark) -> None:
    ablation = benchmark("ablation")
    assert {arm for pair in ablation.PAIRS for arm in pair} == set(ablation.ARMS)
    rows = {"ta": [0.71, 0.74, 0.70, 0.75], "baseline": [0.70, 0.72, 0.70, 0.71]}
    scores = {
        arm: {"base": {"seeds": {str(seed): {"clean": one, "C": one / 2} for seed, one in enumerate(row)}}}
        for arm, row in rows.items()
    }
    found = benchmark("arms").difference(scores, "ta", "baseline")
    interval = stats.ttest_rel(rows["ta"], rows["baseline"]).confidence_interval(0.95)
    assert found["clean"]["mean"] == pytest.approx(0.0175) and found["C"]["mean"] == pytest.approx(0.0175 / 2)
    assert found["clean"]["interval"] == pytest.approx(list(interval))


def test_every_arm_of_the_paintings_is_valid_and_has_an_experiment(
    benchmark: Benchmark, params: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paintings, original = benchmark("paintings"), params.read_text()
    shutil.copytree(ROOT / "presets", root / "presets")
    with pytest.raises(SystemExit, match=r"error: data/official/paintings is no folder; put class folders"):
        paintings.queue(["originals"])
    (root / "data/official/paintings").mkdir(parents=True)
    queue, seen = paintings.queue(list(paintings.ARMS)), set()
    for words in queue.values():
        params.write_text(original)
        apply_overrides(str(params), words[1:-1:2])
        assert words[-1] == "evaluate" and set(words[:-1:2]) == {"-S"}
        check(params)
        seen.add(params.read_text())
        assert f"dataset.root={root}/data/official/paintings" in words and "seeds=[0,1,2,3,4]" in words
    assert len(seen) == len(queue) == 7 + 8 + 4 + 3 and next(iter(queue)) == "paintings-originals-5-seeds"
    monkeypatch.setenv("PAINTINGS_ROOT", str(root / "presets"))
    assert f"dataset.root={root}/presets" in next(iter(paintings.queue(["class"]).values()))


def test_the_claims_on_paintings_need_no_other_arms(benchmark: Benchmark) -> None:
    arms, claims = benchmark("paintings").ARMS, benchmark("painted_claims").CLAIMS
    assert {arm for claim in claims.values() for arm in claim.arms} <= set(arms)
    unused = set(arms) - {arm for claim in claims.values() for arm in claim.arms}
    assert unused == {"attention-dot", "attention-tanh_additive", "attention-sigmoid"}


CSV = """model,class,n,group,recall
base-0,minority,9,,0.1
tuned-0,dog,5,majority,0.9
tuned-0,majority,9,,0.8
tuned-0,minority,9,,0.6
tuned-1,majority,9,,0.7
tuned-1,minority,9,,0.5
"""


def test_the_paintings_are_tabulated_and_judged(benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    """From what experiments have written to a table with verdicts, two seeds."""
    paintings = benchmark("paintings")
    monkeypatch.setattr(paintings, "SEEDS", range(2))
    by_arm = {"class": 0.03, "originals": 0.0}

    def read(revision: str, path: str) -> dict[str, object]:
        if path.startswith("metrics/time"):
            return {"cpu_seconds": 60.0, "cores": 2, "threads": 1, "device": "cpu"}
        scores = {"clean": 0.7 + by_arm[revision], "balanced": 0.6, "C": 0.5}
        seeds = {seed: scores | {"clean": scores["clean"] + by_arm[revision] * int(seed) / 9} for seed in "01"}
        facts = {"n": 4, "classes": ["a", "b"], "sets": {"C": ["fog"]}, "severities": [3]}
        return facts | {"base": {"seeds": {}}, "tuned": {"seeds": seeds}}

    monkeypatch.setattr(paintings, "read", read)
    monkeypatch.setattr(paintings, "shown", lambda revision, path: CSV)
    monkeypatch.setattr(paintings, "parameters", lambda revision: {"dataset": {"imbalance": 10.0, "size": 128}})
    found = paintings.tabulate({arm: arm for arm in by_arm}, "f" * 40)
    row = found["arms"]["class"]
    assert row["core_minutes"] == 3.0 and row["minority_seeds"] == [0.6, 0.5] and row["majority"] == 0.75
    verdicts = {each["claim"]: (each["verdict"], each["missing"]) for each in found["claims"]}
    assert verdicts["accuracy"] == ("supported", "") and verdicts["no-cost"] == ("supported", "")
    assert verdicts["bias"] == ("undecided", ""), "no difference at all"
    lacking = "not run: any, external; `make paintings` runs them"
    assert verdicts["own-class"] == ("undecided", lacking) and verdicts["hardest"][1].startswith("not run: hardest")
    assert json.loads(json.dumps(found)) == found
