"""Change values in the text of a YAML file: comments, blank lines and every other value keep their bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeGuard

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

_GAP = 2  # spaces before a comment behind a long value


def overlay(text: str, changes: str) -> str:
    """Write the leaves of one YAML mapping into another.

    A comment behind a value stays in the column in which most comments of the file stand, or moves behind a longer
    value: to write the old value again gives the old bytes.

    Args:
        text: a mapping in block style, as params.yaml is.
        changes: a mapping that holds some of its leaves; a list is a leaf, and so is a schedule.

    Returns:
        The changed text.

    Raises:
        KeyError: ``text`` has no such leaf; the argument is its dotted name.
    """
    places, column = dict(_entries(_compose(text))), _comment_column(text)
    edits: list[tuple[int, int, str]] = []
    for leaf, (_, value) in _leaves(_compose(changes)):
        if leaf not in places:
            raise KeyError(leaf)
        key, old = places[leaf]
        if _plain(value) != _plain(old):
            edits.append(_edit(text, key, old, value, column))
    for start, end, new in sorted(edits, reverse=True):  # from the end: earlier places stay where they are
        text = text[:start] + new + text[end:]
    return text


@lru_cache(maxsize=8)  # nothing changes the nodes, and a parameter file takes 25 ms
def _compose(text: str) -> Node | None:
    found: Node | None = YAML(typ="safe", pure=True).compose(text)
    return found


def _entries(node: Node | None, prefix: str = "") -> Iterator[tuple[str, tuple[Node, Node]]]:
    """Key and value of every entry by its dotted name, sections before what they hold."""
    for key, value in node.value if _is_section(node) else ():
        yield f"{prefix}{key.value}", (key, value)
        yield from _entries(value, f"{prefix}{key.value}.")


def _leaves(node: Node | None) -> Iterator[tuple[str, tuple[Node, Node]]]:
    return (entry for entry in _entries(node) if not _is_section(entry[1][1]))


def _is_section(node: Node | None) -> TypeGuard[MappingNode]:
    """Whether a value is a mapping that holds leaves: a schedule, from numbers of epochs to values, is a leaf."""
    return isinstance(node, MappingNode) and not (node.value and all(key.value.isdecimal() for key, _ in node.value))


def _comment_column(text: str) -> int:
    """Where most comments behind values stand."""
    lines = [line for line in text.splitlines() if " #" in line and not line.lstrip().startswith("#")]
    columns = Counter(line.index(" #") + 1 for line in lines)
    return columns.most_common(1)[0][0] if columns else 0


def _edit(text: str, key: Node, old: Node, new: Node, column: int) -> tuple[int, int, str]:
    """What to put between the colon behind a key and the end of the last line of its value."""
    start = text.index(":", key.end_mark.index) + 1
    end = _line_end(text, max(start, _end(old)))
    head = key.start_mark.column * " " + text[key.start_mark.index : start]
    block = _is_block(new)
    if not block:
        head += f" {_plain(new)}"
    if comment := _comment(text, start, end, old):
        head = head.ljust(max(column, len(head) + _GAP)) + comment
    indent = (key.start_mark.column + 2) * " "
    lines = [head, *(f"{indent}- {_plain(item)}" for item in (new.value if block else ()))]
    begin = key.start_mark.index - key.start_mark.column
    return begin, end, "\n".join(lines)


def _comment(text: str, start: int, end: int, old: Node) -> str:
    """The comment on the line of the key, also where the value stands on the lines below."""
    below = "\n" in text[start : old.start_mark.index]
    return (text[start : _line_end(text, start)] if below else text[max(start, _end(old)) : end]).strip()


def _is_block(node: Node) -> bool:
    """Whether a list has a line for each entry: one of sections has."""
    return isinstance(node, SequenceNode) and any(isinstance(item, MappingNode) for item in node.value)


def _end(node: Node) -> int:
    """Where a value ends; that of a list or section in block style would take in the comments behind it."""
    if not isinstance(node, CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _line_end(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found


def _plain(node: Node) -> str:
    """A value on one line, as it was written."""
    if isinstance(node, MappingNode):
        return "{" + ", ".join(f"{_plain(key)}: {_plain(value)}" for key, value in node.value) + "}"
    if isinstance(node, SequenceNode):
        return "[" + ", ".join(map(_plain, node.value)) + "]"
    plain = isinstance(node, ScalarNode) and node.style is None and not set(node.value) & set(",[]{}\n")
    return str(node.value) or "null" if plain else json.dumps(node.value, ensure_ascii=False)
