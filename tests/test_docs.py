"""What is generated in the documentation is up to date."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import speeds
import torch
from torch import nn

from impasto.commands.schema import document
from impasto.corrupted.make import plan, regenerate
from impasto.corrupted.published import PUBLISHED
from impasto.corruptions import sets
from impasto.corruptions.catalogue import CATALOGUE
from impasto.data.images import Images
from tiny import CPU, ROOT, pictures


def committed(name: str) -> Any:
    """A metrics file as it was committed: running the pipeline measures its times anew."""
    words = ["git", "show", f"HEAD:metrics/{name}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not in a git checkout with committed metrics")
    found = json.loads(done.stdout)
    return found[0] if isinstance(found, list) else found


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    """docs/readme.py as a module."""
    spec = importlib.util.spec_from_file_location("readme", ROOT / "docs" / "readme.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_parameter_reference_is_fresh() -> None:
    words = ["git", "show", "HEAD:params.yaml"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode or done.stdout != (ROOT / "params.yaml").read_text():
        pytest.skip("params.yaml is not as committed")
    assert (ROOT / "docs" / "parameters.md").read_text() == document(ROOT / "params.yaml"), "run `make docs`"


@pytest.mark.parametrize(
    ("file", "begin"),
    [
        ("README.md", "result -->\n|"),
        ("docs/corruptions.md", "speed -->\n"),
        ("docs/results.md", "results -->\n**"),
        ("docs/claims.md", "claims -->\n**"),
        ("docs/paintings.md", "paintings -->\n**"),
    ],
)
def test_the_numbers_in_the_text_are_those_of_the_metrics(
    readme: ModuleType, monkeypatch: pytest.MonkeyPatch, file: str, begin: str
) -> None:
    monkeypatch.setattr(readme.words, "load", committed)
    text = (ROOT / file).read_text()
    assert readme.fill(file, text) == text, "run `make docs`"
    assert f"<!-- {begin}" in text


def test_a_part_that_is_missing_is_told(readme: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme, "PARTS", {"a.md": {"result": lambda: "numbers"}})
    text = "a <!-- result -->\nold\n<!-- /result --> b"
    assert readme.fill("a.md", text) == "a <!-- result -->\nnumbers\n<!-- /result --> b"
    with pytest.raises(SystemExit, match=r"a\.md has the part 'result' 0 times, not once"):
        readme.fill("a.md", "nothing")


ROW = {"ours": 0.05, "numpy": 0.5, "ratio": 10.0}
MEASURED = {
    "corruptions": {
        "n": 1000, "repeats": 5, "ratio_imagenet": 11.24, "ratio_cifar": 9.5, "ratio_original": 26.2, "ratio_224": 5.0,
        "cifar": {"fog": 61.7, "snow": 158.2}, "imagenet": {"fog": 48.8, "snow": 124.5}, "original": {"snow": 862.5},
        "peer": {"fog": 198.1, "snow": 1020.5}, "ratios": {"fog": 4.06, "snow": 8.2},
        "ratios_224": {"fog": 0.85, "snow": 4.3},
    },
    "cbar": {
        "cifar_32": {
            "lines": ROW | {"original": 5.5, "ratio_original": 110.0},
            "total": ROW | {"original": 7.0, "ratio_original": 140.0},
        },
        "tin_64": {"sparkles": ROW, "total": ROW}, "ratio": 10.0, "ratio_original": 140.0,
    },
}  # fmt: skip


def test_speed_of_each_corruption(readme: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme.words, "load", lambda name: MEASURED)
    lines = readme.speed().splitlines()
    assert "| fog | 61.7 | 48.8 | 198 | 4.1x | 0.8x |" in lines
    assert "| **all** | **220** | **173** | **1,219** | **11.2x** | **5.0x** |" in lines
    assert "| lines | 50.0 | 500 | 10.0x | 5,500 | 110x |" in lines
    assert "| sparkles | 50.0 | 500 | 10.0x |" in lines
    rows = [*speeds.corruptions(MEASURED["corruptions"]), *speeds.cbar(MEASURED["cbar"])]
    assert [row.measured for row in rows] == ["11.2x", "5.0x", "9.5x", "26.2x", "10.0x", "140x"]
    goals = [(row.goal, row.met) for row in rows if row.met is not None]
    assert goals == [("at least 15x", False), ("at least 25x", True), ("at least 60x", False)]


def test_every_benchmark_is_in_the_readme_with_its_goal(readme: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    found = committed("benchmarks.json")
    lines = readme.benchmarks().splitlines()
    for name, values in found.items():
        rows = speeds.ROWS[name](values)
        assert rows and all(any(line.startswith(f"| {row.what} | {row.measured} |") for line in lines) for row in rows)
    wanted = {
        "trivial_augment": "at least 10x", "pnorm_noise": "at least 10x", "frechet_curve": "at least 5x",
        "epoch": "at most 1.3x", "reference_epoch": "at least 2.5x, at least 10x",
        "stylise": "at most 1, at least 1.45x, at least 2.7x", "select_pool": "under 2 min, 1.5 GB",
        "corruptions": "at least 15x, at least 25x", "cbar": "at least 60x", "augmix": "", "evaluate": "",
        "processes": "", "tracking": "under 1 %", "tune": "under 3 s",
    }  # fmt: skip
    assert found.keys() <= wanted.keys()
    for name, goals in wanted.items():
        of = {row.goal for row in speeds.ROWS[name](found[name]) if row.met is not None}
        assert of == set(filter(None, re.split(r", (?=at )", goals))), name
    monkeypatch.setattr(readme.words, "load", lambda _: found | {"new": {}})
    with pytest.raises(SystemExit, match="no row for the benchmark new"):
        readme.benchmarks()


def test_a_goal_that_is_missed_is_told() -> None:
    missed, reached = speeds.at_least("a", 4.4, 10), speeds.at_least("a", 10.0, 10)
    assert (missed.met, reached.met, speeds.at_least("a", 4.4).met) == (False, True, None)
    held = speeds.select_pool({"n": 1, "threads": 1, "total_s": 119.0, "peak_mb": 1600})
    assert not held[0].met and speeds.epoch({"refresh_1_ratio": 9.0, "refresh_0.1_ratio": 1.31})[1].met is False


def test_times_that_were_not_measured_are_told(readme: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme.words, "load", lambda name: {"cbar": MEASURED["cbar"]})
    assert readme.speed().startswith("Times of -C are not measured yet: `make bench`")
    assert "| **all** | **50.0** | **500** | **10.0x** | **7,000** | **140x** |" in readme.speed()


CORRUPTIONS = (ROOT / "docs" / "corruptions.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", CORRUPTIONS, re.DOTALL)


def test_three_lines_evaluate_any_model(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sets, "C15", tuple(name for name in sets.C15 if name in CATALOGUE))
    pixels, labels = pictures(6, 3)
    network = nn.Sequential(nn.Flatten(), nn.Linear(pixels[0].size, 3))
    found = {"model": network, "images": torch.from_numpy(pixels), "labels": torch.from_numpy(labels)}
    exec(SNIPPETS[0], found)
    right = found["right"]
    assert isinstance(right, list) and len(right) == 5 * len(sets.C15)
    assert float(capsys.readouterr().out) == pytest.approx(float(np.mean([r.numpy().mean() for r in right])))
    assert len(SNIPPETS[0].split("\n\n")[1].splitlines()) == 3


def test_reading_a_set_as_documented(tmp_path: Path) -> None:
    pixels, labels = pictures(6, 3)
    Images(pixels, labels, ("a", "b", "c"), "made").save(tmp_path / "clean")
    regenerate(tmp_path / "clean", tmp_path / "set", ["fog"], plan(tmp_path / "clean", 0, "auto", (1, 2), "npy"), CPU)
    found = {"root": tmp_path / "set", "labels": labels}
    exec(SNIPPETS[1], found)
    assert found["first"].shape == (6, 16, 16, 3) and np.array_equal(found["truth"], labels)


def test_every_corruption_has_its_row_and_every_published_set_its_name() -> None:
    rows = re.findall(r"^\| (\w+) \| (C15|extra|C-bar, \w+) \|", CORRUPTIONS, re.MULTILINE)
    shared = set(sets.C_BAR["cifar"]) & set(sets.C_BAR["imagenet"])
    want = dict.fromkeys(sets.C15, "C15") | dict.fromkeys(sets.EXTRA, "extra")
    want |= dict.fromkeys(sets.C_BAR["cifar"], "C-bar, CIFAR")
    want |= dict.fromkeys(sets.C_BAR["imagenet"], "C-bar, ImageNet") | dict.fromkeys(shared, "C-bar, both")
    assert dict(rows) == want and len(rows) == len(want)
    for key, one in PUBLISHED.items():
        (record,) = {url.split("/")[4] for archive in one.archives for url in archive.urls}
        assert f"| `{key}` | Zenodo record {record}" in CORRUPTIONS


@pytest.mark.parametrize("file", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_pictures_and_links_exist(file: str) -> None:
    page = ROOT / file
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()) if "://" not in target]
    assert not [target for target in targets if not (page.parent / target).exists()]
    assert targets or file == "docs/parameters.md", "pages link to modules, pictures or each other"
