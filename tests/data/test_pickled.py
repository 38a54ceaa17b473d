"""Pickles of strangers: what they hold is read, and what they ask for is never run."""

from __future__ import annotations

import hashlib
import os
import pickle
import tracemalloc
import warnings
from contextlib import suppress
from pathlib import Path
from pickletools import genops
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from damaged import damaged
from impasto.data import pickled
from impasto.data.pickled import read_pickle
from impasto.data.sources.cifar import CIFAR10, CIFAR100
from impasto.errors import ImpastoError
from official_files import CIFAR10_NAMES, CIFAR100_COARSE, CIFAR100_NAMES, Python2

DATA = np.random.default_rng(0).integers(256, size=(5, 7), dtype=np.uint8)
HEAD, END = b"\x80\x02}U\x01a", b"s."  # {"a": ...}
OPCODES = pickle._Unpickler.dispatch.keys()


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


@pytest.mark.parametrize("protocol", range(2, 5))
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


@pytest.mark.parametrize("protocol", range(2, 6))
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
@pytest.mark.parametrize("form", ["GLOBAL", "STACK_GLOBAL"])
def test_every_other_global_is_named(name: str, form: str) -> None:
    module, _, attribute = name.rpartition(".")
    ask = {
        "GLOBAL": f"c{module}\n{attribute}\n".encode() + b"U\x04true\x85R",
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


@pytest.mark.parametrize("opcode", sorted(set(OPCODES) - {code[0] for code in pickled._OPCODES}))
def test_no_other_opcode_is_run(opcode: int) -> None:
    with pytest.raises(ImpastoError, match=r"file cannot be read: it uses the opcode b.+, which is not admitted"):
        read_pickle(HEAD + b"N" + bytes([opcode]) + bytes(16) + END, "file")


def test_the_opcodes_are_those_of_such_dictionaries() -> None:
    """Every one is needed: Python 2 and the protocols of Python 3 use each of them."""
    used = {op.code.encode("latin1") for op, _, _ in genops(Python2().dumps({"a": [1, 300, -2], "b": DATA, "c": "d"}))}
    entries = {"a": [1, 300, -2, 0.5, None, True, False, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], "b": b"x" * 300}
    entries |= {"c": {"d": 1}, "e": "f" * 300, "g": b"x", "h": [1], "data": DATA, "many": [[i] for i in range(300)]}
    for protocol in (2, 3, 4):
        entries["twice"] = [entries["many"], entries["many"][-1], entries["c"]]
        used |= {op.code.encode("latin1") for op, _, _ in genops(pickle.dumps(entries, protocol))}
    assert set(pickled._OPCODES) <= used | {pickle.BINSTRING}
    assert used <= set(pickled._OPCODES)


def test_a_claim_of_a_bytearray_allocates_nothing() -> None:
    """BYTEARRAY8 makes what it claims before it reads: 19 bytes, any amount of memory."""
    claim = pickle.BYTEARRAY8 + (1 << 28).to_bytes(8, "little")
    tracemalloc.start()
    with pytest.raises(ImpastoError, match="file cannot be read"):
        read_pickle(HEAD + claim + END, "file")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("by", ["DUP", "memo"])
@pytest.mark.parametrize("end", [b"Ns.", b"(h\x00Nu."], ids=["SETITEM", "SETITEMS"])
def test_a_key_that_takes_long_to_hash_is_refused_before(by: str, end: bytes) -> None:
    """A tuple of a tuple twice, and so on: Python hashes the innermost 2**60 times. This test would not end."""
    step = b"2\x86" if by == "DUP" else b"q\x00h\x00\x86"
    key = b")" + step * 60 + b"q\x00"
    content = b"\x80\x02}" + key + end if end.startswith(b"N") else b"\x80\x02" + key + b"}(h\x00Nu."
    with pytest.raises(ImpastoError, match=r"it has a tuple as a key|uses the opcode b'2'"):
        read_pickle(content, "file")


def test_bytes_of_a_text_are_made_once() -> None:
    """A text of which the bytes are asked for again and again would need the square of the file's size."""
    text = b"X" + (10_000).to_bytes(4, "little") + b"z" * 10_000
    asked = b"c_codecs\nencode\nq\x01" + text + b"X\x06\x00\x00\x00latin1\x86q\x02"
    tracemalloc.start()
    with pytest.raises(ImpastoError, match="it asks for more bytes than it holds"):
        read_pickle(HEAD + b"](" + asked + b"h\x01h\x02R" * 1000 + b"e" + END, "file")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


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


@settings(max_examples=150)
@given(damaged(WHOLE))
def test_damage_is_an_error_that_can_be_mended_or_none(content: bytes) -> None:
    try:
        assert isinstance(read_pickle(content, "file"), dict)
    except ImpastoError as error:
        assert str(error).startswith("file cannot be read: ")
