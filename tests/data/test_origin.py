"""Whether a file is the published one, and what happens if it is not."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from file_server import Web, serve
from impasto.data import remote
from impasto.data.origin import FOLDER, Published, identify, obtain
from impasto.data.pinned import pin, pin_of
from impasto.data.remote import Remote
from impasto.errors import ImpastoError
from impasto.io import read_json

BODY = bytes(range(256)) * 9000  # more than two reads
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(remote, "_PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as found:
        found.files = {"/good": BODY, "/bad": BODY[:-1]}
        yield found


def blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def published(*, path: str = "/good", web: Web | None = None, **digests: str) -> Published:
    return Published(Remote("weights.pth", (f"{web.address if web else 'http://nowhere'}{path}",)), **digests)


def test_the_digests_are_those_of_git_and_sha256sum(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(BODY)
    found = identify(file, published())
    words = ["git", "hash-object", "--no-filters", str(file)]
    assert found.git_blob == subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    assert (found.name, found.size, found.sha256) == ("weights.pth", len(BODY), SHA256)
    assert json.loads(found.text()) == found.__dict__


@pytest.mark.parametrize(
    ("digests", "expected"),
    [
        ({}, None),
        ({"git_blob": blob(BODY)}, True),
        ({"sha256": SHA256[:8]}, True),
        ({"git_blob": blob(BODY), "sha256": SHA256}, True),
        ({"git_blob": blob(b"other")}, False),
        ({"sha256": "0" * 8}, False),
        ({"git_blob": blob(BODY), "sha256": "0" * 8}, False),
        ({"git_blob": blob(b"other"), "sha256": SHA256[:8]}, False),
    ],
)
def test_published_means_that_every_known_digest_is_right(
    tmp_path: Path, digests: dict[str, str], expected: bool | None
) -> None:
    (tmp_path / "file").write_bytes(BODY)
    assert identify(tmp_path / "file", published(**digests)).published is expected


def test_a_named_file_is_used_whatever_it_is(root: Path) -> None:
    (root / "mine.pth").write_bytes(b"mine")
    path, origin = obtain(published(git_blob=blob(BODY)), Path("mine.pth"))
    assert path == root / "mine.pth" and origin.published is False and origin.name == "mine.pth"
    assert obtain(published(), root / "mine.pth")[0] == path
    with pytest.raises(ImpastoError, match="there is no file .*absent.pth"):
        obtain(published(), Path("absent.pth"))


def test_a_file_that_bears_the_digest_in_its_name_must_have_it(root: Path) -> None:
    right, wrong = root / f"net-{SHA256[:8]}.pth", root / f"other-{SHA256[:8]}.pth"
    right.write_bytes(BODY)
    wrong.write_bytes(BODY[:-1])
    assert obtain(published(sha256=SHA256[:8]), right)[1].published
    with pytest.raises(ImpastoError, match=rf"{wrong.name} has .*{SHA256[:8]}... was published.*Delete it"):
        obtain(published(sha256=SHA256[:8]), wrong)


def test_the_published_file_is_downloaded_once(root: Path, web: Web) -> None:
    for _ in range(2):
        path, origin = obtain(published(web=web, git_blob=blob(BODY)))
        assert path == root / FOLDER / "weights.pth" and path.read_bytes() == BODY and origin.published
    assert len(web.asked) == 1


def test_another_file_in_the_place_of_the_published_one_is_refused(root: Path, web: Web) -> None:
    with pytest.raises(ImpastoError, match=rf"git blob {blob(BODY[:-1])}.*git blob {blob(BODY)} was published"):
        obtain(published(web=web, path="/bad", git_blob=blob(BODY)))
    assert obtain(published(web=web, path="/bad"))[1].published is None  # nothing is known of it


def test_a_downloaded_file_of_which_no_digest_is_known_is_held_against_its_pin(root: Path, web: Web) -> None:
    path, origin = obtain(published(web=web))
    assert not pin_of(path).exists(), "nobody has looked into it"
    pin(path)
    assert read_json(pin_of(path)) == {"size": len(BODY), "sha256": SHA256} and origin.published is None
    assert obtain(published(web=web)) == (path, origin)
    path.write_bytes(BODY[:-1] + b"x")
    with pytest.raises(ImpastoError, match=rf"weights.pth has sha256 .*weights.pth.pin.json says .* sha256 {SHA256}"):
        obtain(published(web=web))


def test_neither_a_named_file_nor_one_of_a_known_digest_is_pinned(root: Path, web: Web) -> None:
    (root / "mine.pth").write_bytes(b"mine")
    obtain(published(), Path("mine.pth"))
    obtain(published(web=web, git_blob=blob(BODY)))
    assert not list(root.rglob("*.pin.json"))
