"""What is generated in the documentation is up to date."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from types import ModuleType
from typing import Any

import pytest

from impasto.commands.schema import document
from tiny import ROOT


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


def test_the_numbers_of_the_readme_are_those_of_the_metrics(
    readme: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readme, "load", committed)
    text = (ROOT / "README.md").read_text()
    assert readme.fill(text) == text, "run `make docs`"
    assert "<!-- result -->\n|" in text


def test_a_part_that_is_missing_is_told(readme: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme, "PARTS", {"result": lambda: "numbers"})
    assert readme.fill("a <!-- result -->\nold\n<!-- /result --> b") == "a <!-- result -->\nnumbers\n<!-- /result --> b"
    with pytest.raises(SystemExit, match="0 times, not once"):
        readme.fill("nothing")
