"""Downloads against a server that drops, lies, ignores and refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from file_server import Web, serve
from impasto.data import remote
from impasto.data.remote import Remote, download
from impasto.errors import ImpastoError

BODY = np.random.default_rng(0).bytes(700_001)
MD5 = hashlib.md5(BODY).hexdigest()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(remote, "_PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as found:
        found.files = {"/good": BODY, "/same-size": BODY[:-1] + bytes([BODY[-1] ^ 1]), "/page": b"<html>log in</html>"}
        yield found


def wanted(web: Web, *paths: str, size: int | None = len(BODY), md5: str | None = MD5) -> Remote:
    return Remote("set.tar", tuple(web.address + path for path in paths), size, md5)


def hidden(folder: Path) -> list[str]:
    """Left-overs, the lock apart."""
    return sorted(p.name for p in folder.iterdir() if p.name not in {"set.tar", ".set.tar.lock"})


def test_a_file_arrives_under_its_name(web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = download(wanted(web, "/good"), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "set.tar" and path.read_bytes() == BODY
    assert hidden(path.parent) == [] and web.asked == [("/good", None)]
    assert "set.tar: 1/1 MB" in capsys.readouterr().err


def test_what_is_there_is_not_asked_for_again(web: Web, tmp_path: Path) -> None:
    for _ in range(2):
        download(wanted(web, "/good"), tmp_path)
    assert len(web.asked) == 1


@pytest.mark.parametrize("size", [len(BODY), None])
@pytest.mark.parametrize("length", [True, False], ids=["length told", "length not told"])
def test_a_dropped_connection_is_taken_up_where_it_broke(
    web: Web, tmp_path: Path, length: bool, size: int | None
) -> None:
    web.drops["/good"] = [300_000, 500_000]
    if not length:
        web.without_length.add("/good")
    if not length and size is None:  # the answer 206 tells the length all the same, but the first one does not
        with pytest.raises(ImpastoError, match="has md5"):
            download(wanted(web, "/good", size=None), tmp_path)
        assert hidden(tmp_path) == []
        return
    assert download(wanted(web, "/good", size=size), tmp_path).read_bytes() == BODY
    starts = [0 if asked is None else int(asked[6:-1]) for _, asked in web.asked]
    assert len(starts) == 3 and 0 <= 300_000 - starts[1] < 70_000
    assert starts[2] > starts[1], "the second part was kept as well"


def test_a_later_run_goes_on(web: Web, tmp_path: Path) -> None:
    web.drops["/good"] = [400_000, *[400_000] * remote.TRIES]
    with pytest.raises(ImpastoError, match=rf"after .* bytes, {remote.TRIES} attempts"):
        download(wanted(web, "/good"), tmp_path)
    assert hidden(tmp_path) == [".set.tar.part"] and not (tmp_path / "set.tar").exists()
    asked = len(web.asked)
    assert download(wanted(web, "/good"), tmp_path).read_bytes() == BODY
    (_, header) = web.asked[asked]
    assert len(web.asked) == asked + 1 and header is not None and int(header[6:-1]) > 300_000


def test_a_server_without_ranges_sends_all_again(web: Web, tmp_path: Path) -> None:
    web.without_ranges.add("/good")
    web.drops["/good"] = [300_000]
    assert download(wanted(web, "/good"), tmp_path).read_bytes() == BODY
    assert [header is None for _, header in web.asked] == [True, False]


def test_a_busy_server_is_asked_again(web: Web, tmp_path: Path) -> None:
    web.faults["/good"] = [503, 429]
    assert download(wanted(web, "/good"), tmp_path).read_bytes() == BODY
    assert len(web.asked) == 3


@pytest.mark.parametrize("first", ["/nothing", "/same-size", "/page"])
def test_the_next_mirror_takes_over(web: Web, tmp_path: Path, first: str) -> None:
    assert download(wanted(web, first, "/good"), tmp_path).read_bytes() == BODY
    assert [path for path, _ in web.asked] == [first, "/good"]
    assert hidden(tmp_path) == []


def test_a_mirror_that_cannot_be_reached(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "TRIES", 2)
    file = Remote("set.tar", ("http://127.0.0.1:9/good", f"{web.address}/good"), len(BODY), MD5)
    assert download(file, tmp_path).read_bytes() == BODY


def test_every_wait_is_told(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(remote, "_PAUSE", 1.0)
    monkeypatch.setattr("impasto.data.remote.time.sleep", waits.append)
    url = "http://127.0.0.1:9/good"
    with pytest.raises(ImpastoError, match=f"no connection after 0 bytes, {remote.TRIES} attempts"):
        download(Remote("set.tar", (url,), len(BODY), MD5), tmp_path)
    told = f"set.tar: no connection after 0 bytes of {url}; attempt {{}} of 5 in {{}} s"
    assert capsys.readouterr().err.splitlines() == [told.format(n, 2 ** (n - 1)) for n in range(2, 6)]
    assert waits == [2, 4, 8, 16]
    web.drops["/good"] = [300_000]
    download(wanted(web, "/good"), tmp_path)
    (first, *_) = capsys.readouterr().err.splitlines()
    assert "the connection ended early after" in first and first.endswith("/good; goes on in 1 s")


def test_quiet_waits_are_not_told(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMPASTO_QUIET", "true")
    web.faults["/good"] = [503]
    download(wanted(web, "/good"), tmp_path)
    assert capsys.readouterr() == ("", "")


def test_a_part_of_one_mirror_is_continued_on_the_next(web: Web, tmp_path: Path) -> None:
    web.files["/twin"] = BODY
    web.drops["/good"] = [400_000] * (remote.TRIES + 1)
    assert download(wanted(web, "/good", "/twin"), tmp_path).read_bytes() == BODY
    path, header = web.asked[-1]
    assert path == "/twin" and header is not None and int(header[6:-1]) > 300_000


def test_every_mirror_is_named_with_its_fault(web: Web, tmp_path: Path) -> None:
    with pytest.raises(ImpastoError) as caught:
        download(wanted(web, "/nothing", "/same-size", "/page"), tmp_path)
    text, found = str(caught.value), hashlib.md5(web.files["/same-size"]).hexdigest()
    assert f"{web.address}/nothing: HTTP 404" in text and "\n" not in text
    assert f"{web.address}/same-size: the file has md5 {found}, expected {MD5}" in text
    assert f"{web.address}/page: offers 19 bytes" in text
    assert hidden(tmp_path) == [] and not (tmp_path / "set.tar").exists()


@pytest.mark.parametrize("left", [b"of another version", BODY + b"too long", BODY[:-1] + b"\0", b""])
def test_a_wrong_part_of_an_earlier_run_is_thrown_away(web: Web, tmp_path: Path, left: bytes) -> None:
    (tmp_path / ".set.tar.part").write_bytes(left)
    assert download(wanted(web, "/good"), tmp_path).read_bytes() == BODY
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("left", [BODY, BODY + b"too long"], ids=["complete", "too long"])
def test_a_part_that_the_server_has_nothing_beyond(web: Web, tmp_path: Path, left: bytes) -> None:
    (tmp_path / ".set.tar.part").write_bytes(left)
    assert download(wanted(web, "/good", size=None), tmp_path).read_bytes() == BODY
    assert len(web.asked) == (1 if left == BODY else 2)


def test_a_wrong_file_in_its_place_is_named_and_left(web: Web, tmp_path: Path) -> None:
    (tmp_path / "set.tar").write_bytes(web.files["/same-size"])
    with pytest.raises(ImpastoError, match=rf"set.tar has md5 [0-9a-f]{{32}}, expected {MD5}.*Delete it"):
        download(wanted(web, "/good"), tmp_path)
    (tmp_path / "set.tar").write_bytes(b"short")
    with pytest.raises(ImpastoError, match=r"set.tar has 5 bytes, expected 700,001"):
        download(wanted(web, "/good"), tmp_path)
    assert (tmp_path / "set.tar").read_bytes() == b"short" and web.asked == []


def test_nothing_is_known_of_the_file(web: Web, tmp_path: Path) -> None:
    assert download(wanted(web, "/page", size=None, md5=None), tmp_path).read_bytes() == web.files["/page"]


def test_two_processes(web: Web, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".set.tar.lock"), pytest.raises(ImpastoError, match="another process is downloading"):
        download(wanted(web, "/good"), tmp_path)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk(web: Web, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File too large"):
        download(wanted(web, "/good"), tmp_path)
    assert not (tmp_path / "set.tar").exists()
