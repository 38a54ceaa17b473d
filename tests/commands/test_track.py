"""`impasto track`: what it calls, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from impasto.commands import track as module
from impasto.commands.track import track
from impasto.tracking.push import Counts


@pytest.fixture
def calls(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(module, "record_experiments", lambda: found.append("record") or 2)
    monkeypatch.setattr(module, "sync", lambda uri: found.append(uri) or Counts(3, 1))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return found


def test_record_sends_nothing(calls: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    track("record")
    assert calls == ["record"] and "2 rows added" in capsys.readouterr().out


def test_sync_records_and_sends_and_hides_the_password(
    calls: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:1")
    track("sync")
    said = capsys.readouterr().out
    assert calls == ["record", "http://me:secret@127.0.0.1:1"]
    assert "3 runs sent" in said and "1 refused" in said and "secret" not in said


@pytest.mark.parametrize(("action", "told"), [("sync", "no server is named"), ("send", "unknown action 'send'")])
def test_refusals(calls: list[str], capsys: pytest.CaptureFixture[str], action: str, told: str) -> None:
    with pytest.raises(typer.Exit) as caught:
        track(action)
    assert caught.value.exit_code == 2 and told in capsys.readouterr().err
