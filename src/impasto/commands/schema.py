"""The reference of all parameters, made from the schema and params.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_origin

import typer
from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen, MultipleOf
from pydantic.fields import FieldInfo

from impasto.config.all import SECTIONS
from impasto.config.base import Section, read_yaml, tracked
from impasto.config.schedule import Schedule
from impasto.io import write_text
from impasto.stages.command import PARAMS, Params, command

_BOUNDS = {
    Ge: ("≥", "ge"),
    Gt: (">", "gt"),
    Le: ("≤", "le"),
    Lt: ("<", "lt"),
    MultipleOf: ("a multiple of", "multiple_of"),
}


@command
def schema(
    out: Annotated[Path | None, typer.Option(help="Write there instead of printing.")] = None, params: Params = PARAMS
) -> None:
    """Print docs/parameters.md: every leaf with its default, range, meaning and the stages that read it."""
    text = document(params)
    if out:
        write_text(out, text)
    else:
        print(text, end="")


def document(params: Path) -> str:
    """Markdown with one table per section of params.yaml."""
    tree = read_yaml(params)
    pipeline = params.with_name("dvc.yaml")
    readers = {stage: tracked(pipeline, stage) for stage in read_yaml(pipeline)["stages"] if stage != "check"}
    parts = [_HEAD]
    for section in SECTIONS:
        values = tree[section.key] if section.key else tree
        title = f"`{section.key}`" if section.key else " and ".join(_names(section))
        parts += [
            f"## {title}\n\n{(section.__doc__ or '').strip().splitlines()[0]}\n",
            _table(section, values, readers),
        ]
    return "\n".join(parts)


def leaves(section: type[Section]) -> Iterator[tuple[str, FieldInfo]]:
    """Every leaf of a section with its field, nested sections included."""
    for name, field in section.model_fields.items():
        leaf = ".".join(filter(None, (section.key, field.alias or name)))
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from leaves(inner)
        else:
            yield leaf, field


def _table(section: type[Section], values: Mapping[str, Any], readers: Mapping[str, tuple[str, ...]]) -> str:
    rows = ["| parameter | default | allowed | meaning | read by |", "|---|---|---|---|---|"]
    for leaf, field in leaves(section):
        value: Any = values
        for step in leaf.removeprefix(f"{section.key}.").split("."):
            value = value[step]
        stages = (
            "`impasto tune`"
            if section.key == "tune"
            else ", ".join(s for s, read in readers.items() if any(leaf == r or leaf.startswith(f"{r}.") for r in read))
        )
        rows.append(f"| `{leaf}` | `{_plain(value)}` | {_allowed(field)} | {field.description} | {stages} |")
    return "\n".join(rows) + "\n"


def _allowed(field: FieldInfo) -> str:
    words = [_type(field.annotation)]
    for bound in field.metadata:
        if type(bound) in _BOUNDS:
            sign, attribute = _BOUNDS[type(bound)]
            words.append(f"{sign} {getattr(bound, attribute)}")
        elif isinstance(bound, MinLen | MaxLen | Len):
            words.append("not empty")
    return ", ".join(words)


def _type(annotation: Any) -> str:
    arguments = getattr(annotation, "__args__", ())
    name = getattr(annotation, "__name__", str(annotation))
    if Schedule in arguments:
        return "number, ≥ 0, ≤ 1, or a schedule `{epoch: number, ...}`"
    if type(None) in arguments:
        return " or ".join([*(_type(inner) for inner in arguments if inner is not type(None)), "`null`"])
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(map(_type, arguments))
    if str(annotation).startswith("typing.Literal"):
        return " or ".join(f"`{_plain(value)}`" for value in arguments)
    if name == "tuple" or str(annotation).startswith("tuple"):
        return "[low, high] in 0 to 1"
    if str(annotation).startswith("list"):
        return f"list of {_type(*arguments)}" if "Literal" in str(arguments) else "list"
    return {"int": "integer", "float": "number", "bool": "`true` or `false`", "str": "text"}[name]


def _names(section: type[Section]) -> list[str]:
    return [f"`{field.alias or name}`" for name, field in section.model_fields.items()]


def _plain(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


_HEAD = """# Parameters

Every leaf of [params.yaml](../params.yaml), generated from the schema by `make docs`. Change one with
`dvc exp run -S NAME=VALUE`; the stages in the last column, and those after them, run again.
"""
