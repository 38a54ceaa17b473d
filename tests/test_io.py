"""Whole files or none, readable errors, and digests that tell contents apart."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged import damaged
from impasto import io
from impasto.errors import ImpastoError

WRITERS: dict[str, Callable[[Path], None]] = {
    "text": lambda path: io.write_text(path, "new"),
    "json": lambda path: io.write_json(path, {"new": 1}),
    "csv": lambda path: io.write_csv(path, ["new"], [{"new": 1}]),
    "npy": lambda path: io.write_npy(path, np.arange(3)),
}


class Crash(BaseException):
    """Stands for the end of the process."""


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_crash_before_the_rename_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def crash(*_: object) -> None:
        raise Crash

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(Crash):
        write(path)
    assert path.read_text() == "old" and left_over(tmp_path) == ["file"]


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(Crash), io.atomic(path) as part:
        part.write_text("half of the ne")
        raise Crash
    assert path.read_text() == "old" and left_over(tmp_path) == ["file"]


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_folders_are_made_and_old_files_replaced(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "a" / "b" / "file"
    write(path)
    first = path.read_bytes()
    path.write_text("x" * 1000)
    write(path)
    assert path.read_bytes() == first and left_over(path.parent) == ["file"]


def test_data_reaches_the_disk_before_the_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("rename"), replace(a, b)))
    io.write_text(tmp_path / "file", "new")
    assert order == ["fsync", "rename"]


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_folder_that_cannot_be_written(tmp_path: Path, write: Callable[[Path], None]) -> None:
    """Below a regular file nobody can write, not even root."""
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ImpastoError, match=r"cannot write .*file/inner/name: .*make the folder writable"):
        write(tmp_path / "file" / "inner" / "name")


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    for write in (lambda: io.write_text(path, "x" * 9000), lambda: io.write_npy(path, np.zeros(9000))):
        with pytest.raises(ImpastoError, match="cannot write .*Free some space"):
            write()
        assert path.read_text() == "old" and left_over(tmp_path) == ["file"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_json_comes_back(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    io.write_json(path, value)
    assert io.read_json(path) == value


def test_json_is_the_same_for_the_same_value(tmp_path: Path) -> None:
    io.write_json(tmp_path / "a", {"b": 1, "a": [1.5, None]})
    io.write_json(tmp_path / "b", {"a": [1.5, None], "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_text().endswith("}\n")


def test_json_refuses_what_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        io.write_json(tmp_path / "a", float("nan"))
    assert left_over(tmp_path) == []


@given(st.lists(st.fixed_dictionaries({"a": st.text("xy,\"'\n ü"), "b": st.integers()}), max_size=4))
def test_csv_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    io.write_csv(path, ["a", "b"], rows)
    assert io.read_csv(path) == [{"a": row["a"], "b": str(row["b"])} for row in rows]


def test_csv_has_a_header_and_unix_lines(tmp_path: Path) -> None:
    io.write_csv(tmp_path / "a.csv", ["x", "y"], [{"y": 2, "x": 1}])
    assert (tmp_path / "a.csv").read_bytes() == b"x,y\n1,2\n"


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_arrays_come_back_as_a_read_only_map(tmp_path: Path, dtype: type) -> None:
    array = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    io.write_npy(tmp_path / "a.npy", array)
    found = io.read_npy(tmp_path / "a.npy")
    assert np.array_equal(found, array) and found.dtype == dtype and isinstance(found, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0, 0] = 1


def test_empty_arrays_come_back(tmp_path: Path) -> None:
    io.write_npy(tmp_path / "a.npy", np.empty((0, 3, 8, 8), np.uint8))
    assert io.read_npy(tmp_path / "a.npy").shape == (0, 3, 8, 8)


@pytest.mark.parametrize("read", [io.read_json, io.read_csv, io.read_npy])
def test_a_missing_input_names_the_remedy(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(ImpastoError, match=r"a/file does not exist .*Run `dvc repro`"):
        read(tmp_path / "a" / "file")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"\x93NUMPY\x01\x00", b"PK\x03\x04 no zip"])
def test_a_damaged_input_names_the_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for read in (io.read_json, io.read_npy):
        with pytest.raises(ImpastoError, match=r"file is (no|truncated or no) .*Delete it and run `dvc repro`"):
            read(path)


def test_an_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ImpastoError, match="no array"):
        io.read_npy(tmp_path / "a.npy")
    with pytest.raises(ValueError, match="allow_pickle"):
        io.write_npy(tmp_path / "b.npy", np.array([{}], dtype=object))


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


TREES: list[dict[str, str]] = [
    {},
    {"a": "b"},
    {"a": "c"},
    {"b": "b"},
    {"a": "bc"},
    {"ab": "c"},
    {"a": "b", "c": "d"},
    {"a": "bcd"},
    {"a": "bc\0\0d"},
    {"d/a": "b"},
    {"a": ""},
]


def test_the_digest_of_a_folder_tells_names_and_contents_apart(tmp_path: Path) -> None:
    digests = []
    for number, files in enumerate(TREES):
        (tmp_path / str(number)).mkdir()
        digests.append(io.digest(tree(tmp_path / str(number), files)))
    assert len(set(digests)) == len(TREES)


def test_the_digest_of_a_folder_ignores_its_place_its_order_and_caches(tmp_path: Path) -> None:
    one = tree(tmp_path / "one", {"a": "1", "b/c": "2"})
    other = tree(tmp_path / "other", {"b/c": "2", "a": "1", "__pycache__/a.pyc": "junk", "b/__pycache__/c.pyc": "junk"})
    assert io.digest(one) == io.digest(other)


def test_digests_of_values() -> None:
    assert io.digest({"a": 1, "b": 2}) == io.digest({"b": 2, "a": 1})
    different = [(), (1,), ("1",), (1.5,), ([1],), (None,), ("a", "b"), ("ab",), (["a", "b"],), ({"a": 1},), (True,)]
    assert len({io.digest(*parts) for parts in different}) == len(different)
    assert len(io.digest("impasto", 1)) == 16


def test_the_digest_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    big = os.urandom(3 << 20)
    (tmp_path / "a").write_bytes(big)
    (tmp_path / "b").write_bytes(big)
    (tmp_path / "c").write_bytes(big[:-1])
    assert io.digest(tmp_path / "a") == io.digest(tmp_path / "b") != io.digest(tmp_path / "c")


def _npy() -> bytes:
    buffer = BytesIO()
    np.save(buffer, np.arange(6).reshape(2, 3))
    return buffer.getvalue()


@pytest.mark.parametrize("spoil", [(b"{", b"("), (b"'descr'", b"\"descr'"), (b"(2, 3)", b"(2, 3("), (b"i8", b"zz")])
def test_a_damaged_header_is_an_error(tmp_path: Path, spoil: tuple[bytes, bytes]) -> None:
    """It is a Python expression: to read it can raise whatever Python's tokenizer does."""
    (tmp_path / "a.npy").write_bytes(_npy().replace(*spoil))
    with pytest.raises(ImpastoError, match=r"a.npy is truncated or no array: .+ Delete it") as caught:
        io.read_npy(tmp_path / "a.npy")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@settings(max_examples=60)
@given(damaged(_npy()))
def test_a_damaged_array_is_an_error_or_an_array(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npy"
    path.write_bytes(content)
    try:
        assert isinstance(io.read_npy(path), np.ndarray)
    except ImpastoError as error:
        assert str(error).startswith(f"{path} is truncated or no array: ")


@given(st.text(), st.integers(3, 40))
def test_one_line_is_short_and_keeps_what_fits(text: str, limit: int) -> None:
    line = io.one_line(text, limit)
    assert len(line) <= limit and len(line.splitlines()) <= 1
    assert line == " ".join(text.split()) if len(text) <= limit else True
    assert io.reason(ValueError(text)) and io.reason(EOFError()) == "EOFError"
