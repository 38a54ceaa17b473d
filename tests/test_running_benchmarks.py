"""benchmarks/run.py keeps what was measured, and refuses what it does not know; the ablation can be asked for."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from ruamel.yaml import YAML
from scipy import stats

from impasto.config.all import check
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


def test_differences_of_arms_are_paired(benchmark: Benchmark) -> None:
    ablation = benchmark("ablation")
    assert {arm for pair in ablation.PAIRS for arm in pair} == set(ablation.ARMS)
    rows = {"ta": [0.71, 0.74, 0.70, 0.75], "baseline": [0.70, 0.72, 0.70, 0.71]}
    scores = {
        arm: {"base": {"seeds": {str(seed): {"clean": one, "C": one / 2} for seed, one in enumerate(row)}}}
        for arm, row in rows.items()
    }
    found = ablation.difference(scores, "ta", "baseline")
    interval = stats.ttest_rel(rows["ta"], rows["baseline"]).confidence_interval(0.95)
    assert found["clean"]["mean"] == pytest.approx(0.0175) and found["C"]["mean"] == pytest.approx(0.0175 / 2)
    assert found["clean"]["interval"] == pytest.approx(list(interval))
