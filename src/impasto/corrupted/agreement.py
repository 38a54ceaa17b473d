"""Whether the scores on a corrupted test set can stand beside those on a clean one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from impasto.corrupted.layout import npy_shape, open_npy
from impasto.corrupted.stored import StoredSet
from impasto.data.decode import class_names
from impasto.data.image_folder import ImageFolder
from impasto.data.images import Images
from impasto.errors import ImpastoError
from impasto.io import digest

_REMEDY = "Is it the set of another dataset?"


class MisfitError(ImpastoError):
    """A corrupted set of other images than the clean ones; a damaged set of these is a plain ImpastoError."""


def require_kin(corrupted: StoredSet, images: Images) -> None:
    """See that a set can be of these clean images, from what is cheap to know and damage seldom hides.

    The manifest of a set that impasto made names its images, a published folder name its number and size; of other
    sets the first bytes of an array, the labels or the names of class folders tell. No image is read or hashed.

    Raises:
        MisfitError: it is of other images.
    """
    if corrupted.made and isinstance(images.pixels, np.memmap) and images.pixels.filename:
        _require_made_of(corrupted, corrupted.made.images, Path(images.pixels.filename).parent)
    elif corrupted.published:
        one, (height, width) = corrupted.published, images.pixels.shape[2:]
        is_, must = (*one.shape, one.classes), (len(images), height, width, len(images.classes))
        if is_ != must:
            shown = ("{:,} images of {}x{} px in {} classes".format(*facts) for facts in (is_, must))
            told = "{} is named as a set of {}, the clean set is of {}".format(corrupted.root, *shown)
            raise MisfitError(told, where=str(corrupted.root), remedy=_REMEDY)
    elif corrupted.layout == "folders":
        _require_classes(corrupted, images.classes)
    else:
        _require_outline(corrupted, images)


def _require_made_of(corrupted: StoredSet, made_of: str, folder: Path) -> None:
    if made_of != digest(folder / "images.npy", folder / "labels.npy"):
        told = f"{corrupted.root} was made of other images than those in {folder}"
        raise MisfitError(told, where=str(corrupted.root), remedy="Make the set of these with `impasto corrupt`.")


def _require_classes(corrupted: StoredSet, classes: tuple[str, ...]) -> None:
    """The first cell that has class folders: one of them at least must be a class of the clean set."""
    for name in corrupted.names:
        for severity in corrupted.severities:
            root = corrupted.places[name] / str(severity)
            if found := class_names(root) if root.is_dir() else []:
                if not set(found) & set(classes):
                    told = f"holds other classes than the clean set: {found[0]}"
                    raise _other(corrupted, name, severity, told, MisfitError)
                return


def _require_outline(corrupted: StoredSet, images: Images) -> None:
    """Arrays: every shape that can be read is of images of another size, or the labels are others."""
    size = (images.pixels.shape[2], images.pixels.shape[3])
    first, blocks = corrupted.names[0], len(corrupted.severities)
    shapes = {name: npy_shape(path) for name, path in corrupted.places.items()}
    sizes = {name: shape[1:3] for name, shape in shapes.items() if shape and len(shape) == 4}
    if sizes and size not in sizes.values():
        name = next(name for name in corrupted.names if name in sizes)
        told = "holds images of {}x{} px, the clean set of {}x{}".format(*sizes[name], *size)
        raise _other(corrupted, name, 1, told, MisfitError, corrupted.places[name].name)
    fault: ImpastoError | None = None
    with suppress(ImpastoError):  # what cannot be read tells nothing, and is refused where the set is read
        labels = open_npy(corrupted.root / "labels.npy")
        if labels.dtype.kind in "ui" and labels.ndim == 1 and len(labels) and not len(labels) % blocks:
            own = labels[: len(labels) // blocks].astype(np.int64)
            fault = _miscounted(corrupted, first, 1, own, images.labels, len(images.classes), MisfitError)
    if isinstance(fault, MisfitError):
        raise fault


def require_labels(corrupted: StoredSet, clean: np.ndarray) -> None:
    """Hold the labels of every corruption and severity against those of the clean test set.

    Arrays must have the very labels, image by image. Folders sort their images by class, and those of
    TinyImageNet-C are other photographs than the clean ones: the number of images of each class must agree.

    Args:
        corrupted: the set.
        clean: int64 [N].

    Raises:
        ImpastoError: they differ; names the first file and image.
    """
    for name in corrupted.names:
        for severity in corrupted.severities:
            found = corrupted.labels(name, severity)
            want = np.sort(clean) if corrupted.layout == "folders" else clean
            if len(found) != len(clean):
                raise _other(corrupted, name, severity, f"holds {len(found):,} images, the clean set {len(clean):,}")
            if (wrong := np.flatnonzero(found != want)).size:
                row = int(wrong[0])
                told = f"shows class {found[row]} where the clean set has {want[row]} (image {row})"
                raise _other(corrupted, name, severity, told)


def require_alike(corrupted: StoredSet, images: Images, names: Sequence[str]) -> None:
    """See that scores on this set can stand beside those on a clean one, whatever the order of the images.

    What the first corruption at the first severity holds tells whose set it is; what deviates later is damage.

    Args:
        corrupted: the set.
        images: the clean ones; class folders must bear the names of their classes, arrays number the classes alike.
        names: the corruptions of the set that are held against them; no other file is opened.

    Raises:
        MisfitError: the set is of images of another size, of other classes, or more or fewer of them; names the file.
        ImpastoError: a class has another number of images, one corruption is unlike the others, or a file is damaged.
    """
    size, classes = (images.pixels.shape[2], images.pixels.shape[3]), images.classes
    fault: type[ImpastoError] = MisfitError
    for name in names:
        for severity in corrupted.severities:
            found, own = corrupted.open(name, severity), corrupted.labels(name, severity)
            if found.shape[1:3] != size:
                told = "holds images of {}x{} px, the clean set of {}x{}".format(*found.shape[1:3], *size)
                raise _other(corrupted, name, severity, told, fault, corrupted.places[name].name)
            if isinstance(found, ImageFolder) and found.classes != classes:
                lone = sorted(set(found.classes) ^ set(classes))[:1] or ["in another order"]
                raise _other(corrupted, name, severity, f"holds other classes than the clean set: {lone[0]}", fault)
            if wrong := _miscounted(corrupted, name, severity, own, images.labels, len(classes), fault):
                raise wrong
            fault = ImpastoError


def _miscounted(
    corrupted: StoredSet,
    name: str,
    severity: int,
    own: np.ndarray,
    clean: np.ndarray,
    classes: int,
    fault: type[ImpastoError],
) -> ImpastoError | None:
    """What tells that labels count otherwise than the clean ones; of this dataset but wrong is never a misfit."""
    counts, wanted = np.bincount(own, minlength=classes), np.bincount(clean, minlength=classes)
    if np.array_equal(counts, wanted):
        return None
    place = int(np.flatnonzero(counts != wanted)[0]) if len(counts) == len(wanted) else 0
    same = len(own) == len(clean) and set(own) == set(clean)
    told = f"holds {counts[place]} images of class {place}, the clean set {wanted[place]}"
    return _other(corrupted, name, severity, told, ImpastoError if same else fault)


def _other(
    corrupted: StoredSet,
    name: str,
    severity: int,
    told: str,
    fault: type[ImpastoError] = ImpastoError,
    array: str = "labels.npy",
) -> ImpastoError:
    where = corrupted.places[name] / str(severity) if corrupted.layout == "folders" else corrupted.root / array
    return fault(f"{where} {told}", where=str(corrupted.root), remedy=_REMEDY)
