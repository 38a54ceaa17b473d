"""Archives: all or nothing, and nothing outside."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from impasto.data.archive import unpack
from impasto.errors import ImpastoError

GOOD = {"SET/fog.npy": b"fog", "SET/frost/1/a.JPEG": b"ice", "SET/README": b"read"}


def pack(path: Path, members: dict[str, bytes | tarfile.TarInfo], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def content(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_the_outer_folder_is_left_out(tmp_path: Path, mode: str) -> None:
    unpack(pack(tmp_path / "set.tar", GOOD, mode), tmp_path / "mine")
    assert content(tmp_path / "mine") == {"README": b"read", "fog.npy": b"fog", "frost/1/a.JPEG": b"ice"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "set.tar"]


def test_without_an_outer_folder(tmp_path: Path) -> None:
    unpack(pack(tmp_path / "set.tar", {"fog/1/a": b"1", "frost/1/a": b"2"}), tmp_path / "mine")
    assert content(tmp_path / "mine") == {"fog/1/a": b"1", "frost/1/a": b"2"}


def test_a_second_archive_adds_to_the_first(tmp_path: Path) -> None:
    unpack(pack(tmp_path / "a.tar", GOOD), tmp_path / "mine")
    (tmp_path / "mine" / "frost" / "stray").write_text("from a killed run")
    unpack(pack(tmp_path / "b.tar", {"SET/snow/1/a": b"s", "SET/frost/1/a.JPEG": b"new"}), tmp_path / "mine")
    assert content(tmp_path / "mine") == {
        "README": b"read", "fog.npy": b"fog", "frost/1/a.JPEG": b"new", "snow/1/a": b"s"
    }  # fmt: skip


@pytest.mark.parametrize(
    "bad",
    [
        {"/etc/evil": b"x"},
        {"SET/../../evil": b"x"},
        {"SET/link": special("SET/link", tarfile.SYMTYPE, "../../outside")},
        {"SET/link": special("SET/link", tarfile.SYMTYPE, "/etc/passwd")},
        {"SET/hard": special("SET/hard", tarfile.LNKTYPE, "../outside")},
        {"SET/device": special("SET/device", tarfile.CHRTYPE)},
        {"SET/pipe": special("SET/pipe", tarfile.FIFOTYPE)},
    ],
    ids=["absolute", "dots", "link out", "absolute link", "hard link out", "device", "pipe"],
)
def test_what_leads_outside_is_refused_whole(tmp_path: Path, bad: dict[str, bytes | tarfile.TarInfo]) -> None:
    (tmp_path / "in" / "mine").mkdir(parents=True)
    (tmp_path / "in" / "mine" / "old").write_text("old")
    with pytest.raises(ImpastoError, match=r"set.tar cannot be unpacked"):
        unpack(pack(tmp_path / "set.tar", GOOD | bad), tmp_path / "in" / "mine")
    assert content(tmp_path) == {"in/mine/old": b"old", "set.tar": (tmp_path / "set.tar").read_bytes()}


@pytest.mark.parametrize("keep", [0, 700, 1500])
def test_damaged_archives(tmp_path: Path, keep: int) -> None:
    whole = pack(tmp_path / "set.tar", {"SET/fog.npy": bytes(3000)}).read_bytes()
    (tmp_path / "set.tar").write_bytes(whole[:keep])
    with pytest.raises(ImpastoError, match="set.tar cannot be unpacked"):
        unpack(tmp_path / "set.tar", tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_what_does_not_fit_is_refused_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Small:
        free = 5

    monkeypatch.setattr("impasto.data.archive.shutil.disk_usage", lambda _: Small)
    with pytest.raises(ImpastoError, match="needs more than the 5 free bytes"):
        unpack(pack(tmp_path / "set.tar", GOOD), tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".mine.unpacking").mkdir()
    (tmp_path / ".mine.unpacking" / "half").write_text("")
    unpack(pack(tmp_path / "set.tar", GOOD), tmp_path / "mine")
    assert set(content(tmp_path / "mine")) == {"README", "fog.npy", "frost/1/a.JPEG"}


def test_a_web_page_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "set.tar").write_bytes(b"<html>\n" * 200)
    with pytest.raises(ImpastoError, match=r"set.tar cannot be unpacked: .* begins with b'<html>") as caught:
        unpack(tmp_path / "set.tar", tmp_path / "mine")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_flipped_bits_of_a_compressed_archive(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar", "w:gz") as tar:
        info = tarfile.TarInfo("SET/a")
        info.size = 5000
        tar.addfile(info, io.BytesIO(bytes(range(250)) * 20))
    content = bytearray((tmp_path / "set.tar").read_bytes())
    content[60:90] = bytes(255 - byte for byte in content[60:90])
    (tmp_path / "set.tar").write_bytes(content)
    with pytest.raises(ImpastoError, match="set.tar cannot be unpacked"):
        unpack(tmp_path / "set.tar", tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
