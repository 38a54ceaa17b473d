"""Members of archives: exactly those asked for, within bounds, and nothing on the disk."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged import damaged
from impasto.data.members import ZipMembers, read_tar
from impasto.errors import ImpastoError

FILES = {"SET/a": b"first", "SET/b": b"second", "SET/c": b"third"}


def tar(path: Path, files: dict[str, bytes | tarfile.TarInfo], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_members_of_a_tar(tmp_path: Path, mode: str) -> None:
    found = read_tar(tar(tmp_path / "set", dict(FILES), mode), ["SET/c", "SET/a"])
    assert found == {"SET/a": b"first", "SET/c": b"third"}
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_what_comes_after_the_last_member_is_not_read(tmp_path: Path) -> None:
    whole = tar(tmp_path / "set.tar", dict(FILES), "w").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:1600])  # the third member is damaged
    assert read_tar(tmp_path / "cut.tar", ["SET/a"]) == {"SET/a": b"first"}
    with pytest.raises(ImpastoError, match=r"cut.tar (cannot be read|has no member 'SET/c')"):
        read_tar(tmp_path / "cut.tar", ["SET/a", "SET/c"])


@pytest.mark.parametrize("bad", ["/etc/evil", "../evil", "SET/../../evil"])
def test_names_that_lead_outside_write_nothing(tmp_path: Path, bad: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    files = FILES | {bad: b"evil"}
    assert read_tar(tar(inner / "set.tar.gz", dict(files)), ["SET/a", bad]) == {"SET/a": b"first", bad: b"evil"}
    with ZipMembers(zipped(inner / "set.zip", files)) as members:
        assert members.read("SET/b") == b"second"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["inner", "set.tar.gz", "set.zip"]


@pytest.mark.parametrize(
    "bad",
    [link("SET/a", tarfile.SYMTYPE, "/etc/passwd"), link("SET/a", tarfile.LNKTYPE, "SET/b"),
     link("SET/a", tarfile.DIRTYPE, ""), link("SET/a", tarfile.FIFOTYPE, "")],
    ids=["link", "hard link", "folder", "pipe"],
)  # fmt: skip
def test_what_is_no_file_is_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    archive = tar(tmp_path / "set.tar", {"SET/b": b"second", "SET/a": bad})
    with pytest.raises(ImpastoError, match="'SET/a' that is no file"):
        read_tar(archive, ["SET/b", "SET/a"])


def test_a_bomb_is_refused_by_its_size(tmp_path: Path) -> None:
    """A megabyte of zeros has a thousandth of its size in the archive."""
    files = {"SET/a": bytes(1 << 20)}
    for archive in (tar(tmp_path / "set.tar.gz", dict(files)), zipped(tmp_path / "set.zip", files)):
        assert archive.stat().st_size < 5000
    for limit, fits in ((1 << 20, True), ((1 << 20) - 1, False)):
        for name in ("set.tar.gz", "set.zip"):
            if fits:
                assert len(get(tmp_path / name, "SET/a", limit)) == 1 << 20
            else:
                with pytest.raises(ImpastoError, match=r"'SET/a' of 1,048,576 bytes, which is more than 1,048,575"):
                    get(tmp_path / name, "SET/a", limit)


def get(archive: Path, name: str, limit: int) -> bytes:
    if archive.suffix == ".zip":
        with ZipMembers(archive, limit) as members:
            return members.read(name)
    return read_tar(archive, [name], limit)[name]


def test_a_zip_that_lies_about_a_size(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", {"SET/a": bytes(1 << 20)})
    content = bytearray(archive.read_bytes())
    place = content.index(b"PK\x01\x02") + 24  # the uncompressed size in the central directory
    content[place : place + 4] = (100).to_bytes(4, "little")
    archive.write_bytes(content)
    with ZipMembers(archive, 1000) as members, pytest.raises(ImpastoError, match="set.zip cannot be read: Bad CRC"):
        members.read("SET/a")


def test_members_of_a_zip(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", {"SET/": b"", **FILES})
    with ZipMembers(archive) as members:
        assert members.names == list(FILES)
        assert {name: members.read(name) for name in members.names} == FILES
        with pytest.raises(ImpastoError, match="set.zip has no member 'SET/d'"):
            members.read("SET/d")
    assert [p.name for p in tmp_path.iterdir()] == ["set.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name, content in (("a", b"1"), ("b", b"2"), ("b", b"3")):
            archive.writestr(name, content)
    with pytest.raises(ImpastoError, match="has two members 'b'"):
        ZipMembers(tmp_path / "set.zip")


@pytest.mark.parametrize("keep", [0, 10, 60, 100])
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_truncated_archives(tmp_path: Path, kind: str, keep: int) -> None:
    archive = tmp_path / f"set.{kind}"
    if kind == "zip":
        zipped(archive, FILES)
    else:
        tar(archive, dict(FILES), "w:gz" if kind == "tar.gz" else "w")
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(ImpastoError, match=rf"set.{kind} (cannot be read: |has no member)"):
        get(archive, "SET/c", 100)


def test_flipped_bits(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", {"SET/a": bytes(range(256)) * 10})
    content = bytearray(archive.read_bytes())
    content[100] ^= 255
    archive.write_bytes(content)
    with ZipMembers(archive) as members, pytest.raises(ImpastoError, match="cannot be read"):
        members.read("SET/a")


@pytest.mark.parametrize(("flag", "method"), [(1, 8), (0, 99)], ids=["password", "unknown compression"])
def test_zips_that_cannot_be_opened(tmp_path: Path, flag: int, method: int) -> None:
    archive = zipped(tmp_path / "set.zip", {"SET/a": b"first"})
    content = bytearray(archive.read_bytes())
    for start, offset in ((content.index(b"PK\x03\x04"), 6), (content.index(b"PK\x01\x02"), 8)):
        content[start + offset], content[start + offset + 2] = flag, method
    archive.write_bytes(content)
    with ZipMembers(archive) as members, pytest.raises(ImpastoError, match="set.zip cannot be read"):
        members.read("SET/a")


def test_a_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(ImpastoError, match="set.zip cannot be read"):
        ZipMembers(tmp_path / "set.zip")
    with pytest.raises(ImpastoError, match="set.tar cannot be read"):
        read_tar(tmp_path / "set.tar", ["a"])


PAGE = b"<!DOCTYPE html>\n<html><body>Log in\n" + b"x" * 3000


@pytest.mark.parametrize("name", ["set.tar.gz", "set.zip"])
def test_a_web_page_is_told_in_one_short_line(tmp_path: Path, name: str) -> None:
    """tarfile tells a line for each compression that it tried."""
    (tmp_path / name).write_bytes(PAGE)
    with pytest.raises(ImpastoError, match=rf"{name} cannot be read: .* begins with b'<!DOCTYPE html>") as caught:
        get(tmp_path / name, "SET/a", 100)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_long_names_make_no_long_error(tmp_path: Path) -> None:
    name = "long\n" * 9000
    with (
        ZipMembers(zipped(tmp_path / "set.zip", {name: b"first"}), 3) as members,
        pytest.raises(ImpastoError, match=r"has a member 'long\\nlong.*\.\.\. of 5 bytes") as caught,
    ):
        members.read(name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    content = bytearray((tmp_path / "set.zip").read_bytes())
    content[40] ^= 1  # the local header has another name now, and zipfile tells both
    (tmp_path / "set.zip").write_bytes(content)
    with ZipMembers(tmp_path / "set.zip") as members, pytest.raises(ImpastoError, match="cannot be read") as caught:
        members.read(name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def _whole(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr("SET/a", bytes(range(256)))
    else:
        with tarfile.open(fileobj=buffer, mode="w:xz") as archive:  # type: ignore[assignment]
            archive.addfile(tarfile.TarInfo("SET/a"))  # type: ignore[attr-defined]
    return buffer.getvalue()


@settings(max_examples=60)
@given(st.one_of(*(damaged(_whole(kind)).map(lambda content, kind=kind: (kind, content)) for kind in ("zip", "tar"))))
def test_damage_is_an_error_or_none(tmp_path_factory: pytest.TempPathFactory, case: tuple[str, bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged.{case[0]}"
    path.write_bytes(case[1])
    try:
        assert isinstance(get(path, "SET/a", 1000), bytes)
    except ImpastoError as error:
        assert str(error).startswith(f"{path} ") and "\n" not in str(error) and len(str(error)) < 600
