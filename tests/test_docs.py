"""What is generated in the documentation is up to date."""

from __future__ import annotations

import importlib.util

from impasto.commands.schema import document
from tiny import ROOT


def test_the_parameter_reference_is_fresh() -> None:
    assert (ROOT / "docs" / "parameters.md").read_text() == document(ROOT / "params.yaml"), "run `make docs`"


def test_the_numbers_of_the_readme_are_those_of_the_metrics() -> None:
    spec = importlib.util.spec_from_file_location("readme", ROOT / "docs" / "readme.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ROOT / "README.md").read_text()
    assert module.fill(text) == text, "run `make docs`"
    assert all(f"<!-- {name} -->" in text for name in module.PARTS)
