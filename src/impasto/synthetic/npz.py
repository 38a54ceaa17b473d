"""Published synthetic images: an npz file, turned into a pool without ever being whole in memory."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from impasto.data.images import Images
from impasto.data.members import archive_fault
from impasto.errors import ImpastoError
from impasto.io import atomic, one_line, read_npy, reason
from impasto.progress import track

_CHUNK = 4096  # images in memory at once
_REMEDY = "Give an npz file with image (uint8, N x H x W x 3) and label (integer, N)."

Header = tuple[tuple[int, ...], bool, np.dtype]  # shape, Fortran order, dtype


def convert_npz(npz: Path, like: Images, folder: Path, count: int | None = None, even: bool = False) -> None:
    """Write the images and labels of ``npz`` as :class:`impasto.data.images.Images` in ``folder``.

    The pixels are read from the archive and written in order, some at a time, compressed or not.

    Args:
        npz: an archive with the members ``image``, uint8 [N, H, W, 3], and ``label``, integers [N].
        like: the dataset, whose size and classes the images must have.
        folder: where to write; ``meta.json`` comes last.
        count: the number of images that there must be; None: any.
        even: whether every class must have the same number of them.

    Raises:
        ImpastoError: the archive or a member is missing, damaged, or of another type, shape or size, or the labels
            are not those of the dataset, as far as their range and their counts show.
    """
    size, file = like.pixels.shape[-1], folder / "images.npy"
    try:
        with zipfile.ZipFile(npz) as archive:
            _check_shapes(archive, npz, size, count)
            labels = _labels(archive, npz, len(like.classes))
            _check_counts(labels, like.classes, npz, even)
            with _member(archive, "image", npz) as (stream, _), atomic(file) as part, part.open("wb") as target:
                _copy(stream, target, len(labels), size)
    except ImpastoError:
        raise
    except Exception as error:  # of damage, anything
        remedy = "Name a whole npz file, or delete it to have it fetched again."
        raise _fault(npz, f"cannot be read: {archive_fault(error, npz)}", remedy) from error
    Images(read_npy(file), labels, like.classes, f"npz file {npz.name}").describe(folder)


def _check_shapes(archive: zipfile.ZipFile, npz: Path, size: int, count: int | None) -> None:
    """Compare what the headers say before anything is read for it: a small file can unpack to any length."""
    with _member(archive, "image", npz) as (_, header):
        _check_images(header, size, npz)
    with _member(archive, "label", npz) as (_, (shape, _, dtype)):
        if len(shape) != 1 or dtype.kind not in "iu":
            raise _fault(npz, f"label is {_kind(dtype, shape)}, not integers [N]")
    if count is not None and shape[0] != count:
        raise _fault(npz, f"has {shape[0]:,} images, expected {count:,}", "Fetch it again.")
    if header[0][0] != shape[0]:
        raise _fault(npz, f"has {header[0][0]} images, but {shape[0]} labels")


def _labels(archive: zipfile.ZipFile, npz: Path, classes: int) -> np.ndarray:
    with _member(archive, "label", npz) as (stream, (shape, _, dtype)):
        labels = np.frombuffer(_read(stream, shape[0] * dtype.itemsize), dtype).astype(np.int64)
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        fault = f"has labels from {labels.min()} to {labels.max()}, but the dataset has {classes} classes"
        raise _fault(npz, fault, "Give the synthetic images of this dataset.")
    return labels


def _check_counts(labels: np.ndarray, classes: tuple[str, ...], npz: Path, even: bool) -> None:
    """A class without images shows labels of another dataset with fewer classes, or half a file."""
    found, remedy = np.bincount(labels, minlength=len(classes)), "Give the synthetic images of this dataset."
    if not found.all():
        label = int(np.flatnonzero(found == 0)[0])
        raise _fault(npz, f"has no image of class {classes[label]!r} (label {label})", remedy)
    if even and len(set(found.tolist())) > 1:
        label = int(np.flatnonzero(found != found[0])[0])
        fault = f"has {found[label]:,} images of class {classes[label]!r}, but {found[0]:,} of class {classes[0]!r}"
        raise _fault(npz, fault, remedy)


def _check_images(header: Header, size: int, npz: Path) -> None:
    shape, fortran, dtype = header
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or fortran:
        raise _fault(npz, f"image is {_kind(dtype, shape)}, not uint8 [N, H, W, 3] in C order")
    if shape[1:3] != (size, size):
        fault = f"has images of {shape[1]} x {shape[2]} px, the dataset of {size} px"
        raise _fault(npz, fault, "Set dataset.size to that of the synthetic images, or give others.")


def _kind(dtype: np.dtype, shape: tuple[int, ...]) -> str:
    return one_line(f"{dtype} {list(shape)}")


def _copy(stream: IO[bytes], target: IO[bytes], count: int, size: int) -> None:
    np.lib.format.write_array_header_1_0(
        target, {"descr": "|u1", "fortran_order": False, "shape": (count, 3, size, size)}
    )
    starts = range(0, count, _CHUNK)
    for number in track(len(starts), "convert npz", f"x{_CHUNK} images"):
        rows = min(_CHUNK, count - starts[number])
        images = np.frombuffer(_read(stream, rows * size * size * 3), np.uint8).reshape(rows, size, size, 3)
        target.write(np.ascontiguousarray(images.transpose(0, 3, 1, 2)).data)


@contextmanager
def _member(archive: zipfile.ZipFile, name: str, npz: Path) -> Iterator[tuple[IO[bytes], Header]]:
    """A member of the archive, open after its header, and the header."""
    if f"{name}.npy" not in archive.namelist():
        keys = ", ".join(sorted(entry.removesuffix(".npy") for entry in archive.namelist())) or "none"
        raise _fault(npz, f"has no key {name!r} (it has: {one_line(keys)})")
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others unpack without a bound
        raise _fault(npz, f"cannot be read: {name} is packed as numpy packs nothing")
    with archive.open(entry) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            header = read(stream)
        except Exception as error:  # a damaged header can raise anything: it is a Python expression
            raise _fault(npz, f"{name} is no array: {reason(error)}") from error
        told = header[2].itemsize * math.prod(header[0])
        if entry.file_size - stream.tell() != told and not header[2].hasobject:
            raise _fault(npz, f"cannot be read: {name} has not the length that its header tells")
        yield stream, header


def _read(stream: IO[bytes], length: int) -> bytes:
    """Exactly ``length`` bytes; zip streams give fewer than asked for."""
    parts = []
    while length:
        if not (part := stream.read(length)):
            raise EOFError("it ends too early")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _fault(npz: Path, what: str, remedy: str = _REMEDY) -> ImpastoError:
    return ImpastoError(f"{npz} {what}", where="synthetic.root", remedy=remedy)
