"""Pickled dictionaries from strangers, read without running anything that they name.

A pickle is a program: it imports whatever it names and calls it. Here it gets five names, those that a dictionary of
texts, numbers and uint8 arrays needs, and none of them is numpy's own: each stands for a function of this module. Of
the opcodes it gets those with which Python 2 and 3 write such a dictionary in protocols 2 to 4.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from impasto.errors import ImpastoError
from impasto.io import one_line, reason

_OPCODES = (
    pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK,
    pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS, pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS,
    pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3,
    pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.BINGET, pickle.LONG_BINGET,
    pickle.SHORT_BINSTRING, pickle.BINSTRING, pickle.SHORT_BINBYTES, pickle.BINBYTES,
    pickle.SHORT_BINUNICODE, pickle.BINUNICODE, pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.BINFLOAT,
    pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE,
    pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BUILD,
)  # fmt: skip


def read_pickle(content: bytes, file: str) -> dict[str, Any]:
    """The dictionary in a pickle of Python 2 or 3, with arrays of numpy 1 or 2.

    Args:
        content: the bytes of the pickle.
        file: its name, for the errors.

    Returns:
        Values by name; texts of Python 2 as bytes, arrays as read-only uint8.

    Raises:
        ImpastoError: the pickle names anything but arrays of bytes, is damaged, or holds no dictionary of texts to
            values; names the file and, where that is at fault, the global.
    """
    try:
        found = _Unpickler(content).load()
        if not isinstance(found, dict):
            raise pickle.UnpicklingError(f"it holds a {type(found).__name__}, not a dictionary")
        return {_text(key): _value(value) for key, value in found.items()}
    except Exception as error:  # a damaged pickle can raise anything
        remedy = "Delete it and fetch it again from its authors."
        raise ImpastoError(f"{file} cannot be read: {reason(error)}", where=file, remedy=remedy) from error


class _Dispatch(dict[int, Any]):
    """Opcodes and what is done for them; others are told by name."""

    def __missing__(self, opcode: int) -> Any:
        raise pickle.UnpicklingError(f"it uses the opcode {bytes([opcode])!r}, which is not admitted")


class _Unpickler(pickle._Unpickler):
    """The one in Python: in the one in C, five bytes claim memory for as many objects as they number."""

    stack: list[Any]  # what was read and is not yet part of anything

    dispatch = _Dispatch({code[0]: pickle._Unpickler.dispatch[code[0]] for code in _OPCODES})

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._left = len(content)

    def find_class(self, module: str, name: str) -> Any:
        known = {  # functions of this call, because a pickle can set the attributes of what it gets
            "numpy.ndarray": "ndarray",
            "numpy.dtype": lambda code, *_: _kind(code),
            "numpy.core.multiarray._reconstruct": lambda *_: _Array(),  # numpy 1
            "numpy._core.multiarray._reconstruct": lambda *_: _Array(),  # numpy 2
            "_codecs.encode": lambda text, encoding: self._bytes(text, encoding),  # Python 3's bytes for Python 2
        }
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"it asks for {one_line(f'{module}.{name}', 100)}, which is not admitted")
        return known[f"{module}.{name}"]

    def _bytes(self, text: object, encoding: object) -> bytes:
        """The bytes of a text; of all texts together no more than the file has, however often it names one."""
        found = _bytes(text, encoding)
        self._left -= len(found)
        if self._left < 0:
            raise pickle.UnpicklingError("it asks for more bytes than it holds")
        return found

    def load_setitem(self) -> None:
        _text(self.stack[-2])
        super().load_setitem()  # type: ignore[misc]

    def load_setitems(self) -> None:
        for key in self.stack[::2]:
            _text(key)
        super().load_setitems()  # type: ignore[misc]

    def load_build(self) -> None:
        if not isinstance(self.stack[-2], _Array | _UInt8):
            raise pickle.UnpicklingError(f"it gives a state to a {type(self.stack[-2]).__name__}")
        super().load_build()  # type: ignore[misc]

    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.BUILD[0]] = load_build


def _kind(code: object) -> _UInt8:
    if code not in ("u1", b"u1"):
        raise pickle.UnpicklingError("it holds an array of something else than bytes")
    return _UInt8()


def _bytes(text: object, encoding: object) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("it asks for another encoding than latin1")
    return text.encode("latin1")


class _UInt8:
    """The type of the elements; its state says nothing more, bytes have no order."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


class _Array:
    """An array; its state is (version, shape, type, whether columns come first, content)."""

    __slots__ = ("value",)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _UInt8) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("it holds an array of something else than bytes")
        self.value = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


def _text(key: object) -> str:
    """A key as text; all else could be made slow to hash, as tuples of tuples are."""
    if type(key) is bytes:
        return key.decode("latin1")
    if type(key) is not str:
        raise pickle.UnpicklingError(f"it has a {type(key).__name__} as a key")
    return key


def _value(value: object) -> object:
    if not isinstance(value, _Array | str | bytes | int | float | list | tuple | dict | None):
        raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")
    return value.value if isinstance(value, _Array) else value
