"""Bars on a terminal, lines elsewhere, nothing when quiet; the steps are the same."""

from __future__ import annotations

import io
import re

import pytest

from impasto import progress
from impasto.runtime import runtime


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is four seconds later."""
    now = iter(range(0, 10_000, 4))
    monkeypatch.setattr("impasto.progress.time.monotonic", lambda: float(next(now)))


@pytest.mark.usefixtures("clock")
def test_lines_every_ten_seconds_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.track(8, "fit decoder", "step")) == list(range(8))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "fit decoder: 3/8 step, 0.25 step/s, ETA 20 s",
        "fit decoder: 6/8 step, 0.25 step/s, ETA 8 s",
        "fit decoder: 8/8 step, 0.25 step/s, ETA 0 s",
    ]


@pytest.mark.usefixtures("clock")
def test_a_resumed_loop_counts_what_is_done_but_not_as_speed(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.track(8, "train", "epoch", start=6)) == [6, 7]
    assert capsys.readouterr().err == "train: 8/8 epoch, 0.25 epoch/s, ETA 0 s\n"


def test_nothing_left_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.track(3, "train", start=3)) == list(progress.track(0, "train")) == []
    assert capsys.readouterr() == ("", "")


def test_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_QUIET", "true")
    runtime.cache_clear()
    assert list(progress.track(4, "train", start=1)) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    assert list(progress.track(20, "train", "epoch", start=10)) == list(range(10, 20))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "train" in text and "10/20" in text and "20/20" in text and "epoch/s" in text


def test_a_bar_ends_with_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted loop gives the cursor back."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    steps = progress.track(20, "train", "epoch")
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert terminal.getvalue().rstrip().endswith("\x1b[?25h")


@pytest.mark.parametrize(("seconds", "text"), [(8, "8 s"), (99.4, "99 s"), (101, "0:01:41"), (38864.2, "10:47:44")])
def test_long_durations_are_told_in_hours(seconds: float, text: str) -> None:
    assert progress._duration(seconds) == text
