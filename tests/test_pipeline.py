"""dvc.yaml against the code and params.yaml: dependencies, parameters, and what reruns when one changes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from closure import ROOT, code_deps
from impasto.config.base import flatten, read_yaml

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
LEAVES = dict(flatten(read_yaml(ROOT / "params.yaml")))

#: What reruns when a leaf changes, downstream stages included. Longest matching prefix wins.
BELOW = {
    "download": "download split generate select style fid train finetune evaluate explain report",
    "split": "split generate select style fid train finetune evaluate explain report",
    "generate": "generate select fid train finetune evaluate explain report",
    "select": "select fid train finetune evaluate explain report",
    "style": "style fid train finetune evaluate explain report",
    "fid": "fid report",
    "fid train": "fid train finetune evaluate explain report",
    "train": "train finetune evaluate explain report",
    "finetune": "finetune evaluate explain report",
    "evaluate": "evaluate report",
    "explain": "explain report",
    "": "",
}
RERUNS = {
    "seed": "split",
    "seeds": "train",
    "lambda": "train",
    "lambda_o": "train",
    "lambda_s": "train",
    "alpha_o": "train",
    "alpha_s": "fid train",
    "combine_o": "train",
    "combine_s": "train",
    "dataset": "download",
    "dataset.validation": "split",
    "dataset.imbalance": "split",
    "synthetic": "generate",
    "synthetic.count": "select",
    "synthetic.keep": "select",
    "synthetic.coverage": "select",
    "style": "style",
    "style.method": "fid train",
    "style.refresh": "train",
    "style.faithful": "fid train",
    "balance": "train",
    "balance.rare": "split",
    "balance.multipliers": "split",
    "augment": "train",
    "model": "train",
    "train": "train",
    "finetune": "finetune",
    "evaluate": "evaluate",
    "explain": "explain",
    "fid": "fid",
    "tune": "",
}


def expected(leaf: str) -> set[str]:
    prefix = max((p for p in RERUNS if leaf == p or leaf.startswith(f"{p}.")), key=len)
    return {"check", *BELOW[RERUNS[prefix]].split()}


def tracked(stage: str) -> list[str]:
    return [entry for entry in PIPELINE[stage].get("params", []) if isinstance(entry, str)]


@pytest.mark.parametrize("stage", PIPELINE)
def test_code_dependencies_are_the_import_closure(stage: str) -> None:
    listed = [dep for dep in PIPELINE[stage]["deps"] if dep.startswith("src/")]
    assert listed == code_deps(stage), "run `make deps`"


@pytest.mark.parametrize("stage", PIPELINE)
def test_command_names_its_data_and_outputs(stage: str) -> None:
    """Every path on the command line is a dependency or an output, and the other way round."""
    entry = PIPELINE[stage]
    paths = set(re.findall(r"--[\w-]+ ([\w/.]+)", entry["cmd"]))
    data = {dep for dep in entry["deps"] if not dep.startswith("src/")}
    kinds = [out for kind in ("outs", "metrics", "plots") for out in entry.get(kind, [])]
    outs = {next(iter(out)) if isinstance(out, dict) else out for out in kinds}
    assert paths == {folder(path, paths) for path in data | outs}


def test_the_table_of_experiments_can_leave_out_every_dependency() -> None:
    """`dvc exp show --drop '.*/.*'` drops the columns of checksums, and none of a parameter or a metric."""
    assert all("/" in dep for entry in PIPELINE.values() for dep in entry.get("deps", []))


def folder(path: str, named: set[str]) -> str:
    """The path itself, or the folder of it that the command names."""
    return next((name for name in named if path == name or path.startswith(f"{name}/")), path)


@pytest.mark.parametrize("stage", [name for name in PIPELINE if name != "check"])
def test_tracked_parameters_exist(stage: str) -> None:
    for entry in tracked(stage):
        assert any(leaf == entry or leaf.startswith(f"{entry}.") for leaf in LEAVES), entry


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_leaf_is_tracked_by_a_stage(leaf: str) -> None:
    readers = [s for s in PIPELINE for e in tracked(s) if leaf == e or leaf.startswith(f"{e}.")]
    assert bool(readers) != leaf.startswith("tune."), "what `impasto tune` reads reruns nothing"


@pytest.mark.parametrize("leaf", LEAVES)
def test_what_reruns(leaf: str) -> None:
    """The table above against the graph of dvc.yaml; `test_dvc_agrees` holds DVC itself to the same graph."""
    assert reruns(leaf) == expected(leaf)


def reruns(leaf: str) -> set[str]:
    """Stages that track a leaf, and all that depend on their outputs."""
    found = {s for s in PIPELINE if s == "check" or any(leaf == e or leaf.startswith(f"{e}.") for e in tracked(s))}
    while True:
        made = {o for s in found - {"check"} for o in outputs(s)}
        more = {s for s in PIPELINE if made & set(PIPELINE[s]["deps"])} - found
        if not more:
            return found
        found |= more


def outputs(stage: str) -> list[str]:
    kinds = [out for kind in ("outs", "metrics", "plots") for out in PIPELINE[stage].get(kind, [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in kinds]


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline with stand-in data, every stage committed: what `dvc status` compares with."""
    root = tmp_path_factory.mktemp("pipeline")
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, root / name)
    for stage in PIPELINE:
        for out in outputs(stage):
            target = root / out
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.suffix:
                target.write_text(stage)
            else:
                target.mkdir()
                (target / "content").write_text(stage)
    dvc(root, "init", "--no-scm", "-q")
    dvc(root, "commit", "-f", "-q")
    return root


def dvc(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_dvc_agrees(committed: Path) -> None:
    """DVC reports, for all leaves changed at once, exactly the leaves that each stage tracks."""
    text = (committed / "params.yaml").read_text()
    changed = yaml.safe_load(text)
    for leaf in LEAVES:
        *sections, name = leaf.split(".")
        tree = changed
        for section in sections:
            tree = tree[section]
        tree[name] = f"{tree[name]}, changed"
    (committed / "params.yaml").write_text(yaml.safe_dump(changed))
    try:
        status = yaml.safe_load(dvc(committed, "status", "--json"))
    finally:
        (committed / "params.yaml").write_text(text)
    for stage in PIPELINE:
        if stage == "check":
            continue
        seen = [entry["changed deps"]["params.yaml"] for entry in status[stage] if "changed deps" in entry]
        found = {leaf for name in seen[0] for leaf in LEAVES if leaf == name or leaf.startswith(f"{name}.")}
        assert found == {leaf for e in tracked(stage) for leaf in LEAVES if leaf == e or leaf.startswith(f"{e}.")}


def test_dvc_sees_an_edited_module(committed: Path) -> None:
    """Editing a module changes exactly the stages whose import closure holds it."""
    for module in ("corruptions/noise.py", "mix.py"):
        file = committed / "src" / "impasto" / module
        text = file.read_text()
        file.write_text(f"{text}\n# edited\n")
        try:
            status = yaml.safe_load(dvc(committed, "status", "--json"))
        finally:
            file.write_text(text)
        assert set(status) == {s for s in PIPELINE if f"src/impasto/{module}" in code_deps(s)}, module
