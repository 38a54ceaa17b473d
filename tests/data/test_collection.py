"""Many files from a server with faults: none is lost, none is asked for too often, and a killed run goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from file_server import Web, serve
from impasto.data import collection, small
from impasto.data.collection import FAILED, PATIENCE, PER_HOST, ROUNDS, collect
from impasto.errors import ImpastoError
from impasto.io import read_csv

N = 12


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(collection, "_PAUSE", 0.01)
    with serve() as found:
        found.files = {f"/{n}": f"image {n}".encode() * 500 for n in range(N)}
        yield found


def urls(web: Web) -> dict[str, str]:
    return {f"{n}.jpg": f"{web.address}/{n}" for n in range(N)}


def check(content: bytes) -> str | None:
    return None if content.startswith(b"image") else "no image"


def have(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def whole(web: Web) -> dict[str, bytes]:
    return {f"{n}.jpg": content for n, content in enumerate(web.files.values())}


def asked(web: Web) -> Counter[str]:
    return Counter(path for path, _ in web.asked)


def test_all_of_them_once(web: Web, tmp_path: Path) -> None:
    for _ in range(2):
        collect(urls(web), tmp_path, check)
        assert have(tmp_path) == whole(web)
        assert asked(web) == dict.fromkeys(web.files, 1), "the second time nothing is asked for"


def test_faults_that_pass(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not found for a while, busy, broken off, silent, another page in its place: each is asked for again."""
    monkeypatch.setattr(small, "_TIMEOUT", (10.0, 1.5))
    right = dict(web.files)
    web.faults = {"/0": [404], "/1": [503, 429], "/2": [500]}
    web.drops, web.stalls = {"/3": [100]}, {"/4": [3.0]}
    web.files["/5"] = b"<html>Service notice</html>"

    def restored(content: bytes) -> str | None:
        web.files["/5"] = right["/5"]
        return check(content)

    collect(urls(web), tmp_path, restored)
    assert have(tmp_path) == {f"{n}.jpg": right[f"/{n}"] for n in range(N)}
    assert {path: n for path, n in asked(web).items() if n > 1} == {
        "/0": 2,
        "/1": 3,
        "/2": 2,
        "/3": 2,
        "/4": 2,
        "/5": 2,
    }
    said = capsys.readouterr().err
    assert "6 files failed (0.jpg from" in said and "/0: HTTP 404" in said and "round 2 of 4" in said


def test_faults_that_stay_are_listed_and_nothing_else_is_lost(web: Web, tmp_path: Path) -> None:
    del web.files["/3"]
    web.files |= {"/1": b"<html>moved</html>", "/2": b""}
    web.drops = {"/7": [10] * ROUNDS}
    with pytest.raises(ImpastoError) as caught:
        collect(urls(web), tmp_path, check)
    told = str(caught.value)
    assert f"after {ROUNDS} rounds 4 files failed (1.jpg from {web.address}/1: no image; 2.jpg" in told
    assert "; ...) and 8 are there" in told and str(tmp_path / FAILED) in told and "\n" not in told
    rows = {row["name"]: (row["url"], row["reason"]) for row in read_csv(tmp_path / FAILED)}
    assert list(rows) == ["1.jpg", "2.jpg", "3.jpg", "7.jpg"]
    assert rows["3.jpg"] == (f"{web.address}/3", "HTTP 404") and rows["1.jpg"][1] == "no image"
    assert asked(web)["/1"] == asked(web)["/3"] == ROUNDS and asked(web)["/0"] == 1
    assert set(have(tmp_path)) - {FAILED} == {f"{n}.jpg" for n in range(N) if n not in (1, 2, 3, 7)}

    web.asked.clear()
    web.files |= dict.fromkeys(("/1", "/2", "/3"), b"image again")
    collect(urls(web), tmp_path, check)
    assert set(asked(web)) == {"/1", "/2", "/3", "/7"}, "for what failed alone"
    assert set(have(tmp_path)) == {f"{n}.jpg" for n in range(N)}, "the list is gone, too"


def test_few_at_a_time_but_side_by_side(web: Web, tmp_path: Path) -> None:
    web.pause = 0.02
    collect(urls(web), tmp_path, check)
    assert web.most == PER_HOST == 2


def test_each_server_has_its_own_few(web: Web, tmp_path: Path) -> None:
    with serve() as other:
        other.files, other.pause, web.pause = dict(web.files), 0.02, 0.02
        half = {name: url.replace(web.address, other.address) for name, url in list(urls(web).items())[: N // 2]}
        begun = time.monotonic()
        collect(urls(web) | half, tmp_path, check)
        assert (len(web.asked), len(other.asked)) == (N // 2, N // 2) and web.most == other.most == 2
        assert min(other.asked_at) < max(web.asked_at) and min(web.asked_at) < max(other.asked_at), (
            time.monotonic() - begun
        )


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(web: Web, tmp_path: Path) -> None:
    web.faults, web.retry_after = {"/0": [429]}, {"/0": "1"}
    collect(urls(web), tmp_path, check)
    assert have(tmp_path) == whole(web)
    refused = web.asked_at[[path for path, _ in web.asked].index("/0")]
    meanwhile = [at - refused for at in web.asked_at if 0.2 < at - refused < 0.9]
    assert not meanwhile and max(web.asked_at) - refused >= 0.9


def test_a_server_that_asks_for_too_long_is_given_up(web: Web, tmp_path: Path) -> None:
    web.faults = {path: [503] * ROUNDS for path in web.files}
    web.retry_after = dict.fromkeys(web.files, "3600")
    begun = time.monotonic()
    with pytest.raises(ImpastoError, match="12 files failed .*HTTP 503"):
        collect(urls(web), tmp_path, check)
    assert time.monotonic() - begun < 2 and len(web.asked) <= ROUNDS * PER_HOST


def test_a_server_that_fails_always_is_not_asked_for_every_file(web: Web, tmp_path: Path) -> None:
    many = {f"{n}.jpg": f"{web.address}/gone/{n}" for n in range(3 * PATIENCE)}
    with pytest.raises(ImpastoError, match="60 files failed"):
        collect(many, tmp_path, check)
    assert ROUNDS * PATIENCE <= len(web.asked) <= ROUNDS * (PATIENCE + PER_HOST)
    reasons = Counter(row["reason"].split(":")[0] for row in read_csv(tmp_path / FAILED))
    assert set(reasons) == {"HTTP 404", "not asked for"} and sum(reasons.values()) == 3 * PATIENCE


def test_what_fails_always_keeps_nothing_else_from_its_turn(web: Web, tmp_path: Path) -> None:
    """A server that answers nothing for a while, and then all but as many files as make it given up, in front."""
    gone = {f"gone-{n}.jpg": f"{web.address}/gone/{n}" for n in range(PATIENCE + PER_HOST)}
    every, right = gone | urls(web), web.files
    web.files = {}
    with pytest.raises(ImpastoError, match="34 files failed"):
        collect(every, tmp_path, check)
    reasons = {row["name"]: row["reason"] for row in read_csv(tmp_path / FAILED)}
    assert reasons["0.jpg"] == "HTTP 404", "each has had its turn in four rounds"
    web.files = right
    web.asked.clear()
    with pytest.raises(ImpastoError, match="22 files failed .* 12 are there"):
        collect(every, tmp_path, check)
    assert {name for name in have(tmp_path) if name != FAILED} == set(urls(web))


def test_the_next_run_begins_with_what_was_not_asked_for(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "ROUNDS", 1)
    gone = {f"gone-{n}.jpg": f"{web.address}/gone/{n}" for n in range(PATIENCE + PER_HOST)}
    for there in (0, N):
        with pytest.raises(ImpastoError, match=f"{22 + N - there} files failed .* {there} are there"):
            collect(gone | urls(web), tmp_path, check)
    for name in gone:
        (tmp_path / name).write_bytes(b"image from elsewhere")
    collect(gone | urls(web), tmp_path, check)
    assert not (tmp_path / FAILED).exists(), "what was put there by hand is there"


def test_no_web_address(tmp_path: Path) -> None:
    for url in ("", "file:///etc/passwd", "http://", "ftp://127.0.0.1/a"):
        with pytest.raises(ImpastoError, match="0.jpg has no web address"):
            collect({"0.jpg": url}, tmp_path, check)


def test_two_at_once(web: Web, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(ImpastoError, match="another process is downloading"):
        collect(urls(web), tmp_path, check)
    assert not web.asked


def test_a_full_disk_is_told(web: Web, tmp_path: Path, small_disk: None) -> None:
    web.files["/0"] = b"image" * 2000
    with pytest.raises(ImpastoError, match="cannot write .*0.jpg"):
        collect({"0.jpg": f"{web.address}/0"}, tmp_path, check)
    assert not have(tmp_path)


def test_a_killed_run_goes_on(web: Web, tmp_path: Path) -> None:
    """SIGKILL while some files are there and others are on their way."""
    web.stalls = {f"/{n}": [60.0] for n in range(6, N)}
    program = (
        "import sys; from pathlib import Path; from impasto.data.collection import collect; "
        f"collect({urls(web)!r}, Path({str(tmp_path)!r}), lambda content: None)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while (len(list(tmp_path.glob("*.jpg"))) < 6 or len(web.asked) < 8) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
    assert len(web.asked) == 8, "two are on their way"
    (tmp_path / ".7.jpg.1.part").write_bytes(b"image")  # as a kill between writing and renaming leaves it
    assert len(list(tmp_path.glob("*.jpg"))) == 6
    web.asked.clear()
    web.stalls.clear()
    collect(urls(web), tmp_path, check)
    assert have(tmp_path) == whole(web) and not list(tmp_path.glob(".*.part"))
    assert asked(web) == {f"/{n}": 1 for n in range(6, N)}
