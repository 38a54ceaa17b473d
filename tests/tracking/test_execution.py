from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from tracking_repo import PARAMS, git

from impasto.errors import ImpastoError
from impasto.tracking.execution import (
    Execution,
    as_text,
    code_tags,
    current,
    experiment_name,
    input_tags,
    numbers,
    parse_yaml,
)


def test_a_plain_repro_is_the_workspace_at_head(repo: Path) -> None:
    assert current() == Execution(git("rev-parse", "HEAD"), "workspace", parse_yaml(PARAMS.encode()))


def test_dvc_names_the_experiment(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "wet-kiwi")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "a" * 40)
    assert current()[:2] == ("a" * 40, "wet-kiwi")


def test_the_key_depends_on_baseline_name_and_values_alone() -> None:
    params = parse_yaml(b"lambda_s: 0.5\ntrain: {lr: 1e-3, epochs: 2}\n")
    reordered = parse_yaml(b"train:\n  epochs: 2 # two\n  lr: 0.001\n\nlambda_s: 0.50\n")
    key = Execution("b", "n", params).key
    assert key == Execution("b", "n", reordered).key
    others = [Execution("c", "n", params), Execution("b", "m", params), Execution("b", "n", params | {"lambda_s": 0.6})]
    assert len({key, *(other.key for other in others)}) == 4


@pytest.mark.parametrize(
    ("file", "dirty"), [("params.yaml", False), ("metrics/a.json", False), ("dvc.lock", False), ("src/new.py", True)]
)
def test_code_is_dirty_only_by_what_is_not_logged_otherwise(repo: Path, file: str, dirty: bool) -> None:
    path = repo / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("x: 1\n")
    assert code_tags()["git.dirty"] == as_text(dirty)


def test_outside_git_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_EXP_BASELINE_REV", raising=False)
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    assert code_tags() == {"git.revision": "none"}
    assert current().baseline == "none"


def test_inputs_take_dvcs_md5_inside_a_stage_only(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repo / "raw").mkdir()
    (repo / "raw" / "meta.json").write_text("{}")
    (repo / "dvc.lock").write_text("stages: {download: {outs: [{path: raw, md5: abc.dir}]}}\n")
    outside = input_tags({"data": Path("raw")})["input.data"]
    monkeypatch.setenv("DVC_STAGE", "train")
    assert input_tags({"data": Path("raw"), "gone": Path("gone")}) == {"input.data": "abc.dir", "input.gone": "missing"}
    (repo / "raw" / "meta.json").write_text('{"n": 1}')
    monkeypatch.delenv("DVC_STAGE")
    assert input_tags({"data": Path("raw")})["input.data"] not in (outside, "abc.dir")
    assert hashlib.sha256(b"").hexdigest()[:16] != outside


def test_metrics_are_the_numeric_leaves() -> None:
    tree = {
        "clean": {"mean": 0.5, "n": 3, "seeds": [1, 2]},
        "array": np.float64(2),
        "name": "x",
        "ok": True,
        "none": None,
    }
    assert numbers(tree) == {"clean.mean": 0.5, "clean.n": 3.0, "array": 2.0}


def test_values_read_as_in_the_file() -> None:
    assert [as_text(value) for value in (True, None, 0.5, [0, 1], "and")] == ["true", "null", "0.5", "[0, 1]", "and"]


def test_the_experiment_is_named_after_the_dataset() -> None:
    assert experiment_name({"dataset": {"name": "digits", "root": None}}) == "impasto digits"
    assert experiment_name({"dataset": {"name": "folder", "root": "/data/kaokore"}}) == "impasto folder kaokore"


def test_broken_yaml_is_the_users_to_mend() -> None:
    with pytest.raises(ImpastoError, match="no YAML"):
        parse_yaml(b"a: [1\n")
