"""What is sent of DVC's run cache: all that is there, and no image that must not be passed on."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
import yaml

from impasto.errors import ImpastoError
from impasto.private import IMAGES, mark
from impasto.shared_runs import configuration, results, share_runs, withheld
from tiny import ROOT

MD5 = {name: f"{digit}{digit}".ljust(32, digit) for name, digit in (("a", "1"), ("b", "2"), ("c", "3"), ("gone", "4"))}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Two runs of a stage; of one a result is no longer there."""
    runs = {
        "one": [("metrics/a.json", MD5["a"], {"size": 1}), ("data/raw/train", f"{MD5['b']}.dir", {"nfiles": 2})],
        "two": [("metrics/a.json", MD5["c"], {"size": 1}), ("models/base", f"{MD5['gone']}.dir", {"nfiles": 1})],
    }
    for name, outs in runs.items():
        file = tmp_path / "runs" / "ke" / "key" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"path": path, "md5": md5, "hash": "md5"} | facts for path, md5, facts in outs]
        file.write_text(yaml.safe_dump({"cmd": "x", "deps": [{"path": "p", "md5": "0"}], "outs": rows}))
    for name in (MD5["a"], f"{MD5['b']}.dir", MD5["c"]):
        stored = tmp_path / "files" / "md5" / name[:2] / name[2:]
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.touch()
    return tmp_path


def test_every_result_that_is_there(cache: Path) -> None:
    found = results(cache, ())
    assert set(found) == {MD5["a"], f"{MD5['b']}.dir", MD5["c"]}
    assert found[f"{MD5['b']}.dir"] == {"md5": f"{MD5['b']}.dir", "hash": "md5", "nfiles": 2}
    assert set(results(cache, IMAGES)) == {MD5["a"], MD5["c"]}
    assert results(cache / "nothing", ()) == {}


def test_what_is_marked_is_left_out_and_images_of_earlier_runs_with_it(tmp_path: Path) -> None:
    pipeline = tmp_path / "dvc.yaml"
    pipeline.write_text((ROOT / "dvc.yaml").read_text())
    mark(pipeline, private=False)
    assert withheld(pipeline) == set()
    mark(pipeline, private=True)
    assert withheld(pipeline) >= {*IMAGES, "data/raw/train", "report", "pictures/maps.png"}


def test_the_remote_is_that_of_the_repository(tmp_path: Path) -> None:
    lines = ("core.remote=team", "remote.team.url=s3://b/a=b c", "remote.team.endpointurl=http://h:1")
    told = "\n".join([*lines, "remote.x.y.url=/a b", "q.z=1\n"])
    read = configparser.RawConfigParser()
    read.read_string(configuration(told, tmp_path / "a cache"))
    assert dict(read["core"]) == {"no_scm": "true", "analytics": "false", "remote": "team"}
    assert dict(read["'remote \"team\"'"]) == {"url": "s3://b/a=b c", "endpointurl": "http://h:1"}
    assert dict(read["'remote \"x.y\"'"]) == {"url": "/a b"} and read["cache"]["dir"] == f"{tmp_path}/a cache"
    assert set(read.sections()) == {"core", "cache", "'remote \"team\"'", "'remote \"x.y\"'"}


def test_where_dvc_cannot_push_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImpastoError, match="DVC cannot push"):
        share_runs(tmp_path)
