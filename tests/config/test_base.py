"""How a section is read, cut down to what a stage tracks, and how faults are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from impasto.config.all import SECTIONS
from impasto.config.base import flatten, load, nearest, parse, read_yaml, tracked
from impasto.config.mix import Mix, Strength
from impasto.config.seed import Seed, Seeds
from impasto.config.style import Style
from impasto.config.synthetic import Synthetic
from impasto.config.train import Train
from impasto.errors import ImpastoError
from tiny import change

PIPELINE = """
stages:
  one: {params: [seed, lambda, alpha_s, train.averaging.start, train.epochs, style.decoder]}
  two: {params: [train, lambda_s]}
  three: {cmd: "true"}
  four: {params: [params.yaml: , seed]}
"""


@pytest.fixture
def pipeline(params: Path) -> Path:
    """params.yaml with a dvc.yaml beside it."""
    params.with_name("dvc.yaml").write_text(PIPELINE)
    return params


def test_a_stage_sees_the_leaves_that_it_tracks(pipeline: Path) -> None:
    train, whole = load(pipeline, Train, "one"), load(pipeline, Train)
    assert train.epochs == whole.epochs and train.averaging.start == whole.averaging.start
    assert load(pipeline, Mix, "one").lambda_ == load(pipeline, Mix).lambda_
    assert load(pipeline, Strength, "one").alpha_s == load(pipeline, Strength).alpha_s
    assert load(pipeline, Style, "one").decoder == load(pipeline, Style).decoder


def test_a_tracked_section_is_whole(pipeline: Path) -> None:
    assert load(pipeline, Train, "two").model_dump() == load(pipeline, Train).model_dump()


@pytest.mark.parametrize(
    ("section", "path", "leaf"),
    [
        (Train, "batch", "train.batch"),
        (Train, "averaging.anneal", "train.averaging.anneal"),
        (Mix, "lambda_s", "lambda_s"),
        (Seeds, "seeds", "seeds"),
        (Synthetic, "generator", "synthetic.generator"),
        (Style, "refresh", "style.refresh"),
    ],
)
def test_an_untracked_leaf_cannot_be_read(pipeline: Path, section: Any, path: str, leaf: str) -> None:
    value: Any = load(pipeline, section, "one")
    *steps, last = path.split(".")
    for step in steps:
        value = getattr(value, step)
    with pytest.raises(AttributeError, match=f"^{leaf} is read, but dvc.yaml does not track it"):
        getattr(value, last)
    assert not hasattr(value, last)


def test_an_untracked_symbol_is_named_as_in_the_file(pipeline: Path) -> None:
    """``lambda_`` is Python's name for it; the file says ``lambda``."""
    with pytest.raises(AttributeError, match=r"^lambda is read, but dvc\.yaml"):
        _ = load(pipeline, Mix, "two").lambda_


def test_a_stage_without_parameters_sees_nothing(pipeline: Path) -> None:
    for section in SECTIONS:
        assert load(pipeline, section, "three").__dict__ == {}


def test_a_slice_is_still_validated_whole(pipeline: Path) -> None:
    change(pipeline, train__batch=-1)
    with pytest.raises(ImpastoError, match=r"train\.batch = -1"):
        load(pipeline, Train, "one")


def test_entries_that_are_no_leaves_are_passed_over(pipeline: Path) -> None:
    assert tracked(pipeline.with_name("dvc.yaml"), "four") == ("seed",)
    assert load(pipeline, Seed, "four").seed == 0


def test_an_unknown_attribute_is_an_ordinary_error(pipeline: Path) -> None:
    with pytest.raises(AttributeError, match="Train has no attribute 'epoch'"):
        _ = load(pipeline, Train).epoch


def test_sections_are_frozen(params: Path) -> None:
    with pytest.raises(ValidationError):
        load(params, Train).epochs = 3  # type: ignore[misc]


def test_without_dvc_yaml_every_leaf_is_there(params: Path) -> None:
    assert load(params, Train, "one") == load(params, Train)


def test_missing_files_and_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(ImpastoError, match=r"does not exist .*Run from the repository's root"):
        read_yaml(tmp_path / "params.yaml")
    for text in ("", "- 1\n", "word\n"):
        (tmp_path / "params.yaml").write_text(text)
        with pytest.raises(ImpastoError, match="no mapping"):
            read_yaml(tmp_path / "params.yaml")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"seed: \xff\xfe\n")
    with pytest.raises(ImpastoError, match="no valid YAML"):
        read_yaml(tmp_path / "params.yaml")


@given(st.text(max_size=60))
def test_any_text_is_a_mapping_or_an_error_in_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        assert isinstance(read_yaml(path), dict)
    except ImpastoError as error:
        assert "\n" not in str(error)


LEAF = st.integers() | st.booleans() | st.lists(st.integers())
NAME = st.text("abcdef", min_size=1, max_size=4)


@given(
    st.recursive(st.dictionaries(NAME, LEAF, max_size=3), lambda inner: st.dictionaries(NAME, LEAF | inner, max_size=3))
)
def test_flat_leaves_lead_back_to_their_values(tree: dict[str, Any]) -> None:
    for leaf, value in flatten(tree):
        found: Any = tree
        for step in leaf.split("."):
            found = found[step]
        assert found is value and not isinstance(value, dict)


def test_flat_names_in_order() -> None:
    assert list(flatten({"b": {"c": 1, "a": [2]}, "a": None})) == [("b.c", 1), ("b.a", [2]), ("a", None)]


def test_nearest() -> None:
    assert nearest("epoch", ["batch", "epochs"]) == "Did you mean 'epochs'?"
    assert nearest("q", ["b", "a"]) == "Valid here: a, b."
    assert nearest("C", ["fog", "c", "c15"]) == "Did you mean 'c'?"
    assert nearest("loc", ["LOG", "x"]) == "Did you mean 'LOG'?"


@pytest.mark.parametrize("text", ["1e-3", "0.001", "1"])
def test_numbers_may_be_written_in_any_way(params: Path, text: str) -> None:
    tree = YAML(typ="safe").load(params.read_text())["train"] | {"weight_decay": YAML(typ="safe").load(text)}
    assert parse(tree, Train, params).weight_decay == float(text)
