"""How a section of params.yaml becomes a frozen, checked object.

A stage sees only the leaves that dvc.yaml tracks for it: reading any other is an error, so a
parameter can never influence a result without invalidating it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from impasto.errors import ImpastoError, closest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

#: What a value must be, by pydantic's name of the fault; the words of the others will do. Every tuple is an interval.
_MUST = {
    "bool_parsing": "be true or false",
    "bool_type": "be true or false",
    "float_parsing": "be a number",
    "float_type": "be a number",
    "int_from_float": "be a whole number",
    "int_parsing": "be a whole number",
    "int_parsing_size": "be a smaller whole number",
    "int_type": "be a whole number",
    "list_type": "be a list",
    "model_type": "be a section with `key: value` lines",
    "string_type": "be text",
    "too_short": "have {min_length} or more entries",
    "tuple_type": "be a list of two numbers, [low, high]",
}


class Section(BaseModel):
    """A top-level key of params.yaml (``key``), or some of its bare top-level symbols (``key = ""``)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    key: ClassVar[str] = ""

    def __getattr__(self, name: str) -> Any:
        if field := type(self).model_fields.get(name):
            leaf = f"{self.key}.{field.alias or name}".strip(".")
            raise AttributeError(f"{leaf} is read, but dvc.yaml does not track it for this stage")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


S = TypeVar("S", bound=Section)


def load(path: Path, section: type[S], stage: str | None = None) -> S:
    """Read one section and keep what ``stage`` tracks.

    Args:
        path: params.yaml; dvc.yaml is looked for beside it.
        section: the section's model.
        stage: a stage of dvc.yaml, or None to keep every leaf.

    Raises:
        ImpastoError: the file or a key is missing or unknown, or a value has the wrong type or range.
    """
    value = pick(read_yaml(path), section, path)
    pipeline = path.with_name("dvc.yaml")
    return _keep(value, tracked(pipeline, stage), section.key) if stage and pipeline.exists() else value


def pick(tree: Mapping[str, Any], section: type[S], path: Path) -> S:
    """One section of the whole file's values, validated.

    Raises:
        ImpastoError: see :func:`load`.
    """
    names = {field.alias or name for name, field in section.model_fields.items()}
    part = tree.get(section.key) if section.key else {k: v for k, v in tree.items() if k in names}
    if part is None:
        raise ImpastoError(
            f"section {section.key!r} is missing", where=str(path), remedy="Add it: see docs/parameters.md."
        )
    return parse(part, section, path)


def parse(value: Any, section: type[S], path: Path) -> S:
    """Validate plain YAML values against a section's model.

    Raises:
        ImpastoError: names the first faulty leaf, its value and what is allowed.
    """
    try:
        return section.model_validate(value)
    except ValidationError as error:
        raise _explain(error, section, path) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; a repeated key is an error.

    Raises:
        ImpastoError: the file is missing, is no YAML or is no mapping.
    """
    try:
        tree = deepcopy(_parse(path.read_bytes()))
    except FileNotFoundError:
        raise ImpastoError(
            f"{path} does not exist", where=str(path), remedy="Run from the repository's root."
        ) from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ImpastoError(
            f"no valid YAML: {_problem(error)}", where=str(path), remedy="Correct the syntax there."
        ) from None
    if not isinstance(tree, dict):
        raise ImpastoError("no mapping of keys to values", where=str(path), remedy="Write `key: value` lines.")
    return tree


@lru_cache(maxsize=64)
def _parse(text: bytes) -> Any:
    """A file is read once for each of its sections, and the parser takes 50 ms for the pipeline's."""
    return YAML(typ="safe", pure=True).load(text)


def tracked(pipeline: Path, stage: str) -> tuple[str, ...]:
    """The parameters that dvc.yaml lists for a stage, as written there; an entry for a whole file is no parameter."""
    stages = read_yaml(pipeline)["stages"]
    return tuple(entry for entry in stages[stage].get("params", ()) if isinstance(entry, str))


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``("train.epochs", 30)`` for every leaf; a list is a leaf, and so is a schedule."""
    for name, value in tree.items():
        if isinstance(value, Mapping) and not is_schedule(value):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def is_schedule(value: object) -> bool:
    """Whether a value of params.yaml is a schedule over epochs, and no section: its keys are whole numbers."""
    return isinstance(value, Mapping) and bool(value) and all(str(key).isdecimal() for key in value)


def nearest(name: str, valid: list[str]) -> str:
    """A remedy that names the closest valid key."""
    close = closest(name, valid)
    return f"Did you mean {close!r}?" if close else f"Valid here: {', '.join(sorted(valid))}."


def _keep(value: S, leaves: tuple[str, ...], prefix: str) -> S:
    kept: dict[str, Any] = {}
    for name, field in type(value).model_fields.items():
        leaf = ".".join(filter(None, (prefix, field.alias or name)))
        inner = getattr(value, name)
        if any(leaf == entry or leaf.startswith(f"{entry}.") for entry in leaves):
            kept[name] = inner
        elif isinstance(inner, Section) and any(entry.startswith(f"{leaf}.") for entry in leaves):
            kept[name] = _keep(inner, leaves, leaf)
    frozen = type(value).__new__(type(value))
    object.__setattr__(frozen, "__dict__", kept)
    object.__setattr__(frozen, "__pydantic_fields_set__", set(kept))
    object.__setattr__(frozen, "__pydantic_extra__", None)
    object.__setattr__(frozen, "__pydantic_private__", None)
    return frozen


def _explain(error: ValidationError, section: type[Section], path: Path) -> ImpastoError:
    found = error.errors()
    # A misspelt key is unknown and the right one is missing; the former says more.
    first = _whole(next((fault for fault in found if fault["type"] == "extra_forbidden"), found[0]))
    steps = [str(step) for step in first["loc"]]
    leaf = ".".join(filter(None, (section.key, *steps)))
    if first["type"] == "extra_forbidden":
        remedy = nearest(steps[-1], _fields(section, steps[:-1]))
        return ImpastoError(f"unknown key {leaf!r}", where=str(path), remedy=remedy)
    if first["type"] == "missing":
        return ImpastoError(f"{leaf} is missing", where=str(path), remedy="Add it: see docs/parameters.md.")
    own, why = first["type"] == "value_error", reason(first)
    what = why if own and isinstance(first["input"], dict) else f"{leaf} = {first['input']!r}: {why}"
    return ImpastoError(what, where=str(path), remedy="Correct the value: see docs/parameters.md.")


def _whole(fault: ErrorDetails) -> ErrorDetails:
    """An end that an interval lacks or has too many is a fault of the interval."""
    place = fault["loc"]
    if fault["type"] == "missing" and isinstance(place[-1], int):
        return {**fault, "type": "tuple_type", "loc": place[:-1]}
    if fault["type"] == "too_long" and fault["ctx"]["field_type"] == "Tuple":
        return {**fault, "type": "tuple_type"}
    return fault


def reason(fault: ErrorDetails) -> str:
    """Why a value is refused, in the words of a person."""
    if fault["type"] == "value_error":  # raised by a validator of ours, not by pydantic
        return str(fault["ctx"]["error"])
    if must := _MUST.get(fault["type"]):
        return f"it must {must.format(**fault.get('ctx', {}))}"
    return fault["msg"].lower().replace("input should", "it must")


def _problem(error: Exception) -> str:
    """What is wrong and in which line, without the parser's context and advice."""
    mark = getattr(error, "problem_mark", None)
    text = " ".join(str(getattr(error, "problem", None) or error).split())
    return f"{text} in line {mark.line + 1}" if mark else text


def _fields(section: type[BaseModel], steps: list[str]) -> list[str]:
    for step in steps:
        field = section.model_fields.get(step)
        inner = field.annotation if field else None
        arguments = [inner, *getattr(inner, "__args__", ())]
        section = next((a for a in arguments if isinstance(a, type) and issubclass(a, BaseModel)), section)
    return [field.alias or name for name, field in section.model_fields.items()]
