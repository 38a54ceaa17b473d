"""Shares that change from epoch to epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from impasto.commands.preset import apply, overrides
from impasto.config.base import flatten, load, pick, read_yaml
from impasto.config.mix import Mix
from impasto.config.presets import read_overlay
from impasto.config.schedule import Schedule, at, values
from tiny import change, mix

SHARE = st.floats(0, 1)
LATER = st.dictionaries(st.integers(1, 400), SHARE, max_size=8)


@given(SHARE, LATER, st.integers(0, 500))
def test_an_epoch_has_the_value_of_the_last_change_before_it(first: float, later: dict[int, float], epoch: int) -> None:
    given = {0: first} | dict(sorted(later.items()))
    expected = first
    for passed in range(epoch + 1):
        expected = given.get(passed, expected)
    found = mix(lambda_s=given)
    assert found.at(epoch).lambda_s == expected
    assert found.last().lambda_s == list(given.values())[-1] == found.last().at(epoch).lambda_s
    assert mix(lambda_s={str(key): value for key, value in given.items()}) == found, "JSON has texts for keys"


def test_a_number_is_the_same_in_every_epoch() -> None:
    found = mix(lambda_=0.25)
    assert [found.at(epoch).lambda_ for epoch in (0, 7)] == [0.25] * 2 and found.last() == found
    assert at(0.25, 9) == 0.25 and values(0.25) == (0.25,)


@pytest.mark.parametrize(("share", "most"), [(0.25, 0.25), ({0: 0, 5: 0.4, 9: 0.1}, 0.4), ({0: 0.0}, 0)])
def test_what_asks_for_synthetic_images_is_the_largest_lambda(share: Any, most: float) -> None:
    assert mix(lambda_=share).most_synthetic == most


WRONG: list[Any] = [
    {}, {1: 0.5}, {0: 0.5, 3: 0.1, 2: 0.1}, {0: 0.5, "0": 0.3},
    {0: 1.01}, {0: True}, {-1: 0.5, 0: 0.5}, {0.0: 0.5}, {"a": 0}, [0.5],
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_is_no_schedule(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        mix(lambda_o=wrong)


def test_it_is_written_as_it_was_typed() -> None:
    assert str(Schedule(((0, 0.5), (40, 0.3)))) == "{0: 0.5, 40: 0.3}"


def test_in_the_file_it_is_one_leaf(params: Path) -> None:
    """So presets replace the whole of it, and MLflow has one parameter ``lambda_s``, whatever it holds."""
    change(params, lambda_s={0: 0.5, 3: 0.2})
    assert dict(flatten(read_yaml(params)))["lambda_s"] == {0: 0.5, 3: 0.2}
    assert load(params, Mix).at(3).lambda_s == pick(read_yaml(params), Mix, params).at(4).lambda_s == 0.2


def test_a_policy_is_a_preset(params: Path, tmp_path: Path) -> None:
    """A later one replaces the earlier one, and does not add to it."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("# a policy\nlambda: {0: 0.5, 9: 0.25}\nlambda_s:\n  0: 0.2\n  4: 0.35\n  8: 0.1\n")
    second.write_text("lambda_s: {0: 0.6}\n")
    apply(read_overlay(first), params, "first")
    assert str(load(params, Mix).lambda_s) == "{0: 0.2, 4: 0.35, 8: 0.1}" and load(params, Mix).at(9).lambda_ == 0.25
    apply(read_overlay(second), params, "second")
    assert str(load(params, Mix).lambda_s) == "{0: 0.6}"
    assert overrides(read_overlay(first)) == ["lambda={0:0.5,9:0.25}", "lambda_s={0:0.2,4:0.35,8:0.1}"]
