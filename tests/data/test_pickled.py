"""Pickles of strangers: what they hold is read, and what they ask for is never run."""

from __future__ import annotations

import hashlib
import os
import pickle
import tracemalloc
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.data import pickled
from impasto.data.pickled import read_pickle
from impasto.data.sources.cifar import CIFAR10, CIFAR100
from impasto.errors import ImpastoError
from official_files import CIFAR10_NAMES, CIFAR100_COARSE, CIFAR100_NAMES, Python2

DATA = np.random.default_rng(0).integers(256, size=(5, 7), dtype=np.uint8)
HEAD, END = b"\x80\x02}U\x01a", b"s."  # {"a": ...}


def numpys(content: bytes) -> dict[str, Any]:
    """The reading of numpy and pickle, which import whatever is named."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy.core
        found: dict[str, Any] = pickle.loads(content, encoding="latin1")
    return found


@pytest.mark.parametrize(
    ("entries", "md5"),
    [
        (
            {"num_cases_per_batch": 10000, "label_names": CIFAR10_NAMES, "num_vis": 3072},
            CIFAR10.md5[CIFAR10.meta],
        ),
        ({"fine_label_names": CIFAR100_NAMES, "coarse_label_names": CIFAR100_COARSE}, CIFAR100.md5[CIFAR100.meta]),
    ],
    ids=["CIFAR-10", "CIFAR-100"],
)
def test_the_authors_own_files_of_names(entries: dict[str, Any], md5: str) -> None:
    """Written as they wrote it, the dictionary has the published checksum: these bytes are their files."""
    content = Python2().dumps(entries)
    assert hashlib.md5(content).hexdigest() == md5
    found = read_pickle(content, "meta")
    assert found == {k: [n.encode() for n in v] if isinstance(v, list) else v for k, v in entries.items()}


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_python_2_equal_numpys_reading(order: Any) -> None:
    content = Python2().dumps({"data": np.array(DATA, order=order), "labels": [1, 300, -2], "batch_label": "first"})
    found, want = read_pickle(content, "batch"), numpys(content)
    assert found["labels"] == want["labels"] and found["batch_label"] == want["batch_label"].encode()
    assert found["data"].dtype == np.uint8 and np.array_equal(found["data"], want["data"])
    assert np.array_equal(found["data"], DATA) and not found["data"].flags.writeable


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("key", ["data", b"data"])
def test_arrays_of_python_3(protocol: int, order: Any, key: str | bytes) -> None:
    content = pickle.dumps({key: np.array(DATA, order=order), "labels": [3, 1]}, protocol)
    found = read_pickle(content, "batch")
    assert np.array_equal(found["data"], DATA) and found["labels"] == [3, 1]


@pytest.mark.parametrize("dtype", ["i1", "b1", "<i2", "<f8"])
def test_arrays_of_other_types_are_refused(dtype: str) -> None:
    """A signed byte has the size of an unsigned one, and would pass for it."""
    for content in (Python2().dumps({"data": DATA.astype(dtype)}), pickle.dumps({"data": DATA.astype(dtype)}, 2)):
        with pytest.raises(ImpastoError, match="batch cannot be read: it holds an array of something else than bytes"):
            read_pickle(content, "batch")


class Evil:
    """A pickle that makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(5))
def test_a_call_of_the_system_is_refused_before_it_is_made(tmp_path: Path, protocol: int) -> None:
    evil = tmp_path / "evil"
    content = pickle.dumps({"data": [Evil(evil)]}, protocol)
    with pytest.raises(ImpastoError, match=rf"batch_1 cannot be read: it asks for {os.mkdir.__module__}\.mkdir, which"):
        read_pickle(content, "batch_1")
    assert not evil.exists()
    pickle.loads(content)
    assert evil.exists(), "the pickle was armed"


@pytest.mark.parametrize(
    "name",
    ["os.system", "posix.system", "builtins.eval", "__builtin__.eval", "builtins.getattr", "numpy.load",
     "numpy.core.multiarray.scalar", "numpy.ndarray.tofile", "functools.partial", "subprocess.Popen",
     "impasto.data.pickled.read_pickle", "_codecs.decode", "copyreg._reconstructor"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["GLOBAL", "INST", "STACK_GLOBAL"])
def test_every_other_global_is_named(name: str, form: str) -> None:
    module, _, attribute = name.rpartition(".")
    ask = {
        "GLOBAL": f"c{module}\n{attribute}\n".encode() + b"U\x04true\x85R",
        "INST": f"(U\x04truei{module}\n{attribute}\n".encode(),
        "STACK_GLOBAL": b"".join(b"X" + len(t).to_bytes(4, "little") + t.encode() for t in (module, attribute))
        + b"\x93U\x04true\x85R",
    }[form]
    with pytest.raises(ImpastoError, match=f"asks for {name}, which is not admitted"):
        read_pickle(HEAD + ask + END, "file")


RECONSTRUCT, DTYPE = b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\ndtype\n"
EMPTY = RECONSTRUCT + b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R"
MISUSE = {
    "objects instead of bytes": DTYPE + b"U\x02O8K\x00K\x01\x87R",
    "numbers of another type": DTYPE + b"U\x02f8K\x00K\x01\x87R",
    "an array without content": EMPTY,
    "an array of a type that is none": EMPTY + b"(K\x01K\x01\x85U\x02u1\x89U\x01ztb",
    "an array of texts": EMPTY + b"(K\x01K\x01\x85" + DTYPE + b"U\x02u1K\x00K\x01\x87R\x89X\x01\x00\x00\x00ztb",
    "fewer bytes than its shape has": EMPTY + b"(K\x01K\x05\x85" + DTYPE + b"U\x02u1K\x00K\x01\x87R\x89U\x01ztb",
    "another encoding": b"c_codecs\nencode\nX\x01\x00\x00\x00zX\x05\x00\x00\x00rot13\x86R",
    "an instance of an admitted name": b"cnumpy\nndarray\n)\x81",
    "attributes for a function": b"c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__N\x85s\x86b",
    "attributes for a name": b"cnumpy\nndarray\nN}X\x01\x00\x00\x00aK\x01s\x86b",
    "attributes for an array": EMPTY + b"N}X\x05\x00\x00\x00valueK\x01s\x86b",
    "no more than a function": DTYPE,
    "something outside the file": b"U\x01aQ",
    "an extension code": b"\x82\x01",
}


@pytest.mark.parametrize("ask", MISUSE.values(), ids=MISUSE.keys())
def test_admitted_names_can_do_nothing_else(ask: bytes) -> None:
    with pytest.raises(ImpastoError, match="file cannot be read: "):
        read_pickle(HEAD + ask + END, "file")


def test_one_file_leaves_nothing_behind_for_the_next() -> None:
    """What a pickle sets on the function that stands for a global is gone with it."""
    spoiled = HEAD + MISUSE["attributes for a function"] + END
    good = pickle.dumps({"data": b"\xff"}, 2)
    for content in (spoiled, good):
        with suppress(ImpastoError):
            assert read_pickle(content, "file") == {"data": b"\xff"}
    assert read_pickle(good, "file") == {"data": b"\xff"}
    assert pickled._bytes.__defaults__ is None and pickled._kind.__defaults__ is None


def test_memory_does_not_follow_what_a_number_in_the_file_claims() -> None:
    """The unpickler in C would make room for eight million objects here, and for a thousand times more if asked."""
    claims = [b"U\x01br\x00\x00\x40\x00", b"T\x00\x00\x00\x10b"]
    tracemalloc.start()
    for claim in claims:
        with suppress(ImpastoError):
            assert read_pickle(HEAD + claim + END, "file") == {"a": b"b"}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps([1, 2]), "it holds a list, not a dictionary"),
        (pickle.dumps({1: 2}), "it has a int as a key"),
        (b"", "cannot be read: EOFError"),
        (b"<html>log in</html>", "cannot be read"),
    ],
)
def test_other_files(content: bytes, message: str) -> None:
    with pytest.raises(ImpastoError, match=message):
        read_pickle(content, "file")


WHOLE = Python2().dumps({"data": DATA, "labels": [1, 2, 3], "batch_label": "first"})


@settings(deadline=None, max_examples=150)
@given(
    keep=st.integers(0, len(WHOLE)),
    edits=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=3),
)
def test_damage_is_an_error_that_can_be_mended_or_none(keep: int, edits: list[tuple[int, int]]) -> None:
    content = bytearray(WHOLE)
    for place, value in edits:
        content[place] = value
    try:
        assert isinstance(read_pickle(bytes(content[:keep]), "file"), dict)
    except ImpastoError as error:
        assert str(error).startswith("file cannot be read: ")
