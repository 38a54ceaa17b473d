"""Values changed in the text of a YAML file: it then means the merged mappings, and the rest is untouched."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from impasto.config.overlay import overlay

TEXT = """\
# A file.
a: 1         # the first

b:           # a section
  c: [1, 2]  # two
  # between
  d:         # a list
    - {e: 1, f: x}
    - {e: 2, f: y}

  # the last
g: null
h:
- 1
- 2          # behind the list
"""


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize(
    ("changes", "old", "new"),
    [
        ("a: 2", "a: 1         # the first", "a: 2         # the first"),
        ("a: 123456789012", "a: 1         # the first", "a: 123456789012  # the first"),
        ("a:", "a: 1         # the first", "a: null      # the first"),
        ("a: {0: 1, 20: 2}", "a: 1         # the first", "a: {0: 1, 20: 2}  # the first"),
        ("a: 'x, [y]'", "a: 1         # the first", 'a: "x, [y]"  # the first'),
        ("b: {c: []}", "  c: [1, 2]  # two", "  c: []      # two"),
        ("b:\n  c:\n    - 3\n    - 4", "  c: [1, 2]  # two", "  c: [3, 4]  # two"),
        ("b: {d: []}", "  d:         # a list\n    - {e: 1, f: x}\n    - {e: 2, f: y}\n", "  d: []      # a list\n"),
        ("b: {d: [{e: 3, f: x}]}", "    - {e: 1, f: x}\n    - {e: 2, f: y}\n", "    - {e: 3, f: x}\n"),
        ("b:\n  d:\n    - e: 1\n      f: x", "    - {e: 2, f: y}\n", ""),
        ("b: {c: [{i: 1}]}", "  c: [1, 2]  # two", "  c:         # two\n    - {i: 1}"),
        ("g: 7", "g: null", "g: 7"),
        ("{}", "", ""),
        ("a: 1", "", ""),
    ],
)
def test_one_change(changes: str, old: str, new: str) -> None:
    after = overlay(TEXT, changes)
    assert after == TEXT.replace(old, new)
    assert overlay(after, TEXT) == TEXT


def test_a_list_in_another_layout_is_written_on_one_line() -> None:
    assert overlay(TEXT, "h: [3]") == TEXT[: TEXT.index("h:")] + "h: [3]\n"


def test_an_unknown_leaf_is_named() -> None:
    with pytest.raises(KeyError, match=r"b\.x"):
        overlay(TEXT, "b: {x: 1}")


words = st.text("ab ,[]{}:#'\"-0.1é", max_size=6)
values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words


@given(st.fixed_dictionaries({}, optional={"a": values, "g": values, "h": st.lists(values, max_size=3)}))
def test_any_value_is_read_back(changes: dict[str, Any]) -> None:
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(changes, stream)
    after = overlay(TEXT, stream.getvalue())
    assert read(after) == read(TEXT) | read(stream.getvalue())
    assert after.startswith("# A file.\na: ") and "  # between\n  d:         # a list\n" in after
