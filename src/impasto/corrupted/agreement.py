"""Whether the scores on a corrupted test set can stand beside those on a clean one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from impasto.corrupted.stored import StoredSet
from impasto.data.image_folder import ImageFolder
from impasto.data.images import Images
from impasto.errors import ImpastoError
from impasto.io import digest


class MisfitError(ImpastoError):
    """A corrupted set of other images than the clean ones; a damaged set of these is a plain ImpastoError."""


def require_made_of(corrupted: StoredSet, images: Images) -> None:
    """See that a set that impasto made was made of these clean images; of others nothing is known.

    Raises:
        MisfitError: the manifest names other images.
    """
    if corrupted.made and isinstance(images.pixels, np.memmap) and images.pixels.filename:
        folder = Path(images.pixels.filename).parent
        if corrupted.made.images != digest(folder / "images.npy", folder / "labels.npy"):
            told = f"{corrupted.root} was made of other images than those in {folder}"
            raise MisfitError(told, where=str(corrupted.root), remedy="Make the set of these with `impasto corrupt`.")


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


def require_alike(corrupted: StoredSet, labels: np.ndarray, classes: tuple[str, ...], size: tuple[int, int]) -> None:
    """See that scores on this set can stand beside those on a clean one, whatever the order of the images.

    What the first corruption at the first severity holds tells whose set it is; what deviates later is damage.

    Args:
        corrupted: the set.
        labels: of the clean images, int64 [N].
        classes: their names; class folders must bear the same, arrays number the classes alike.
        size: height and width of the clean images, px.

    Raises:
        MisfitError: the set is of images of another size, of other classes, or more or fewer of them; names the file.
        ImpastoError: a class has another number of images, one corruption is unlike the others, or a file is damaged.
    """
    wanted = np.bincount(labels, minlength=len(classes))
    fault: type[ImpastoError] = MisfitError
    for name in corrupted.names:
        for severity in corrupted.severities:
            found, own = corrupted.open(name, severity), corrupted.labels(name, severity)
            if found.shape[1:3] != size:
                told = "holds images of {}x{} px, the clean set of {}x{}".format(*found.shape[1:3], *size)
                raise _other(corrupted, name, severity, told, fault, corrupted.places[name].name)
            if isinstance(found, ImageFolder) and found.classes != classes:
                lone = sorted(set(found.classes) ^ set(classes))[:1] or ["in another order"]
                raise _other(corrupted, name, severity, f"holds other classes than the clean set: {lone[0]}", fault)
            counts = np.bincount(own, minlength=len(classes))
            if len(counts) != len(wanted) or (counts != wanted).any():
                place = int(np.flatnonzero(counts[: len(wanted)] != wanted)[0]) if len(counts) == len(wanted) else 0
                told = f"holds {counts[place]} images of class {place}, the clean set {wanted[place]}"
                same = len(own) == len(labels) and set(own) == set(labels)  # of this dataset, with wrong labels
                raise _other(corrupted, name, severity, told, ImpastoError if same else fault)
            fault = ImpastoError


def _other(
    corrupted: StoredSet,
    name: str,
    severity: int,
    told: str,
    fault: type[ImpastoError] = ImpastoError,
    array: str = "labels.npy",
) -> ImpastoError:
    where = corrupted.places[name] / str(severity) if corrupted.layout == "folders" else corrupted.root / array
    return fault(f"{where} {told}", where=str(corrupted.root), remedy="Is it the set of another dataset?")
