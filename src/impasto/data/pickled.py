"""Pickled dictionaries from strangers, read without running anything that they name.

A pickle is a program: it imports whatever it names and calls it. Here it gets five names, those that a dictionary of
texts, numbers and uint8 arrays needs, and none of them is numpy's own: each stands for a function of this module.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from impasto.errors import ImpastoError


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
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        if not isinstance(found, dict):
            raise pickle.UnpicklingError(f"it holds a {type(found).__name__}, not a dictionary")
        return {_text(key): _value(value) for key, value in found.items()}
    except Exception as error:  # a damaged pickle can raise anything
        told = " ".join(str(error).split()) or type(error).__name__
        remedy = "Delete it and fetch it again from its authors."
        raise ImpastoError(f"{file} cannot be read: {told}", where=file, remedy=remedy) from error


class _Unpickler(pickle._Unpickler):
    """The one in Python: in the one in C, five bytes claim memory for as many objects as they number."""

    def find_class(self, module: str, name: str) -> Any:
        known = {  # functions of this call, because a pickle can set the attributes of what it gets
            "numpy.ndarray": "ndarray",
            "numpy.dtype": lambda code, *_: _kind(code),
            "numpy.core.multiarray._reconstruct": lambda *_: _Array(),  # numpy 1
            "numpy._core.multiarray._reconstruct": lambda *_: _Array(),  # numpy 2
            "_codecs.encode": lambda text, encoding: _bytes(text, encoding),  # as Python 3 writes bytes for Python 2
        }
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not admitted")
        return known[f"{module}.{name}"]


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
    if not isinstance(key, str | bytes):
        raise pickle.UnpicklingError(f"it has a {type(key).__name__} as a key")
    return key.decode("latin1") if isinstance(key, bytes) else key


def _value(value: object) -> object:
    if not isinstance(value, _Array | str | bytes | int | float | list | tuple | dict | None):
        raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")
    return value.value if isinstance(value, _Array) else value
