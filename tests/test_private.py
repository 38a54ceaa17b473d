"""Images stay out of DVC remotes: which outputs are marked, who refuses to run without, and what DVC then sends."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import typer
import yaml

from impasto.commands.private import private
from impasto.errors import ImpastoError
from impasto.private import mark, open_outputs, require_private
from impasto.stages.check import check
from tiny import ROOT, change

#: Every cached output of the pipeline, and whether it holds images.
SHOWS = {
    "data/check.txt": False,
    "data/raw/train": True,
    "data/raw/test": True,
    "data/split": False,
    "data/pool": True,
    "pictures/samples.png": True,
    "data/synthetic": False,
    "models/style": False,
    "pictures/styles.png": True,
    "models/base": False,
    "models/tuned": False,
    "data/predictions": False,
    "pictures/corrupted.png": True,
    "data/explain": False,
    "pictures/maps.png": True,
    "pictures/easy_hard.png": True,
    "report": True,
}


@pytest.fixture
def pipeline(root: Path) -> Path:
    return Path(shutil.copy(ROOT / "dvc.yaml", root / "dvc.yaml"))


def outs(pipeline: Path) -> dict[str, bool]:
    """Whether `dvc push` sends each output, by name."""
    found = {}
    for stage in yaml.safe_load(pipeline.read_text())["stages"].values():
        for entry in stage.get("outs", []):
            name, flags = next(iter(entry.items())) if isinstance(entry, dict) else (entry, {})
            found[name] = flags.get("push", True)
    return found


def test_the_table_names_every_output_and_all_are_sent() -> None:
    """A new output has to be judged: does it hold images?"""
    assert outs(ROOT / "dvc.yaml") == dict.fromkeys(SHOWS, True)
    assert open_outputs(ROOT / "dvc.yaml") == [name for name, shows in SHOWS.items() if shows]


def test_marked_and_back(pipeline: Path) -> None:
    before = pipeline.read_text()
    assert mark(pipeline, private=True) == open_outputs(ROOT / "dvc.yaml")
    assert outs(pipeline) == {name: not shows for name, shows in SHOWS.items()}
    stripped = pipeline.read_text().replace(": {push: false}", "").replace(" check --private ", " check ")
    assert stripped == before, "and nothing else changed"
    command = yaml.safe_load(pipeline.read_text())["stages"]["check"]["cmd"]
    assert command == "${run} check --private --out data/check.txt", "another command for DVC than the unmarked one"
    assert mark(pipeline, private=True) == [] and open_outputs(pipeline) == []
    assert mark(pipeline, private=False) == open_outputs(ROOT / "dvc.yaml")
    assert pipeline.read_text() == before


def test_one_that_is_marked_already(pipeline: Path) -> None:
    pipeline.write_text(pipeline.read_text().replace("outs: [report]", "outs: [report: {push: false}]"))
    assert "report" not in mark(pipeline, private=True) and not open_outputs(pipeline)


def test_another_spelling_is_left_alone(pipeline: Path) -> None:
    pipeline.write_text(pipeline.read_text().replace("    outs: [report]", "    outs:\n      - report"))
    before = pipeline.read_text()
    with pytest.raises(ImpastoError, match="report are not written as .*by hand"):
        mark(pipeline, private=True)
    assert pipeline.read_text() == before
    assert [path.name for path in pipeline.parent.iterdir()] == ["dvc.yaml"]


def test_flags_by_hand_are_not_enough(pipeline: Path) -> None:
    """DVC would restore the stage that asks, and with it all others, for a dvc.yaml without them."""
    mark(pipeline, private=True)
    require_private(pipeline)
    pipeline.write_text(pipeline.read_text().replace(" check --private ", " check "))
    with pytest.raises(ImpastoError, match="check has no --private, .*`impasto private`"):
        require_private(pipeline)
    assert mark(pipeline, private=True) == ["check"]
    require_private(pipeline)


def test_what_is_not_cached_is_not_sent(root: Path) -> None:
    (root / "dvc.yaml").write_text("stages: {a: {cmd: x, outs: [report: {cache: false}]}}")
    assert open_outputs(root / "dvc.yaml") == []
    require_private(root / "dvc.yaml")
    require_private(root / "no.yaml")


def test_faces_are_refused_until_their_outputs_are_marked(
    params: Path, pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(out=Path("token"), params=params)  # others are not asked
    with pytest.raises(typer.Exit):
        check(out=Path("token"), private=True, params=params)
    assert "`dvc push` would send data/raw/train, " in capsys.readouterr().err
    faces = {"dataset__name": "kaokore", "dataset__version": "1.2", "dataset__task": "status"}
    change(params, **faces, dataset__split="official")
    with pytest.raises(typer.Exit):
        check(out=Path("token"), params=params)
    said = capsys.readouterr().err
    assert "`dvc push` would send data/raw/train, data/raw/test, data/pool, " in said and "`impasto private`" in said
    private(params=params)
    assert capsys.readouterr().out.startswith("must not be pushed: data/raw/train, data/raw/test")
    check(out=Path("token"), params=params)
    private(off=True, params=params)
    private(off=True, params=params)
    assert capsys.readouterr().out.endswith("nothing to change\n")
    assert open_outputs(pipeline)
