"""One request for one file: what comes, and why nothing does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from file_server import Web, serve
from impasto.data import small
from impasto.data.small import NotReceivedError, receive


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as found:
        found.files = {"/a": bytes(range(256)) * 200}
        yield found


def refused(url: str, **limits: int) -> NotReceivedError:
    with pytest.raises(NotReceivedError) as caught:
        receive(url, **limits)
    return caught.value


def test_the_whole_file(web: Web) -> None:
    assert receive(f"{web.address}/a") == web.files["/a"]
    web.without_length = {"/a"}
    assert receive(f"{web.address}/a") == web.files["/a"]


def test_less_or_more_than_the_file(web: Web) -> None:
    web.drops = {"/a": [30_000]}
    error = refused(f"{web.address}/a")
    assert "ended early" in str(error) or "30,000 of 51,200 bytes" in str(error)
    assert error.wait is None
    assert str(refused(f"{web.address}/a", limit=51_199)) == "more than 51,199 bytes"
    assert len(receive(f"{web.address}/a", limit=51_200)) == 51_200


def test_no_answer(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "_TIMEOUT", (10.0, 0.3))
    web.stalls = {"/a": [5.0]}
    begun = time.monotonic()
    assert str(refused(f"{web.address}/a")) in ("no answer", "no connection", "the connection ended early")
    assert time.monotonic() - begun < 4.0
    assert str(refused("http://127.0.0.1:9/a")) == "no connection"


def test_a_trickle_ends(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "_LONGEST", -1.0)
    assert "not done after" in str(refused(f"{web.address}/a"))


@pytest.mark.parametrize(
    ("status", "header", "wait"),
    [(404, None, None), (500, "7", None), (503, "7", 7.0), (429, "0", 0.0), (503, None, 0.0), (429, "soon", 0.0)],
)
def test_how_long_the_server_wants_to_be_left_alone(
    web: Web, status: int, header: str | None, wait: float | None
) -> None:
    web.faults = {"/a": [status]}
    web.retry_after = {"/a": header} if header else {}
    error = refused(f"{web.address}/a")
    assert (str(error), error.wait) == (f"HTTP {status}", wait)


def test_until_a_date(web: Web) -> None:
    for ahead, low, high in ((30, 28, 30), (-30, 0, 0)):
        web.faults = {"/a": [503]}
        web.retry_after = {"/a": format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)}
        wait = refused(f"{web.address}/a").wait
        assert wait is not None and low <= wait <= high
