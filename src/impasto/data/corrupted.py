"""Corrupted test sets on disk: the authors' own files, and those that impasto made."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Literal

import numpy as np

from impasto.corruptions.sets import C19, C_BAR
from impasto.data import manifest
from impasto.data.checked import fault_of
from impasto.data.image_folder import ImageFolder
from impasto.data.images import Images
from impasto.data.published import Published, fetched, published_in
from impasto.errors import ImpastoError
from impasto.io import digest

ALIASES = {"blue_noise_sample": "blue_noise"}
"""Names of corruptions under which other generators store them."""

_ORDER = tuple(dict.fromkeys((*C19, *C_BAR["cifar"], *C_BAR["imagenet"])))
_REMEDY = "Fetch or make the set again."


class OfficialSet:
    """A corrupted test set in the layout of -C: ``NAME.npy`` and ``labels.npy``, or ``NAME/SEVERITY/CLASS/*``.

    Args:
        root: the folder of the set.
        published: the set whose checksums the files must have; by default the one whose folder name ``root`` bears.
            A set that impasto made is checked against its own manifest instead.

    Attributes:
        names: the corruptions that are there, in the benchmarks' order.
        severities: those that are there.
        layout: ``npy`` or ``folders``.
        origin: ``official``: what is opened has the published checksum, or comes from an archive that had it;
            ``regenerated``: impasto made it; ``unverified``: nothing is known of it.

    Raises:
        ImpastoError: there is no such set.
    """

    def __init__(self, root: Path, published: Published | None = None) -> None:
        self.root = root
        self._made = manifest.load(root)
        self._published = None if self._made else published or published_in(root)
        self._stored = _stored(root)
        if self._made:  # what it does not list was not finished
            self._stored = {name: path for name, path in self._stored.items() if name in self._made.corruptions}
        if not self._stored:
            raise ImpastoError(f"{root} holds no corrupted test set", where=str(root), remedy=_REMEDY)
        known = [name for name in _ORDER if name in self._stored]
        self.names = (*known, *sorted(self._stored.keys() - set(known)))
        self.layout = "npy" if self._stored[self.names[0]].suffix else "folders"
        self.severities = self._made.severities if self._made else (1, 2, 3, 4, 5)
        self._labels: np.ndarray | None = None

    @property
    def origin(self) -> Literal["official", "regenerated", "unverified"]:
        """Where the set comes from, as far as that is proved (see the class)."""
        if self._made:
            return "regenerated"
        one = self._published
        return "official" if one and (one.md5 or fetched(self.root, one)) else "unverified"

    @property
    def description(self) -> str:
        """The origin, and of a set that impasto made whose constants and which seed."""
        made = self._made
        return f"{self.origin} with the constants of {made.table}, seed {made.seed}" if made else self.origin

    def require_made_of(self, images: Images) -> None:
        """See that a set that impasto made was made of these clean images; of others nothing is known.

        Raises:
            ImpastoError: the manifest names other images.
        """
        if self._made and isinstance(images.pixels, np.memmap) and images.pixels.filename:
            folder = Path(images.pixels.filename).parent
            if self._made.images != digest(folder / "images.npy", folder / "labels.npy"):
                told = f"{self.root} was made of other images than those in {folder}"
                raise ImpastoError(told, where=str(self.root), remedy="Make the set of these with `impasto corrupt`.")

    def open(self, name: str, severity: int) -> np.ndarray | ImageFolder:
        """The images of one corruption at one severity, [N, H, W, 3] uint8 when sliced.

        Returns:
            A read-only memory map, or an :class:`ImageFolder`, which decodes what is asked for.

        Raises:
            ImpastoError: the corruption or severity is not there, or a file is missing, truncated, of another kind
                or has another checksum than it must; names the file.
        """
        self._require(name, severity)
        if self.layout == "folders":
            return self._folder(name, severity)
        images = self._array(name)
        n = len(images) // len(self.severities)
        place = self.severities.index(severity)
        return images[place * n : (place + 1) * n]

    def labels(self, name: str, severity: int) -> np.ndarray:
        """The class of each image of :meth:`open`, int64 [N].

        Raises:
            ImpastoError: as :meth:`open`; also where the labels differ from severity to severity.
        """
        found = self.open(name, severity)
        return found.labels if isinstance(found, ImageFolder) else self._block_labels(len(found))

    def check(self, clean: np.ndarray) -> None:
        """Hold the labels of every corruption and severity against those of the clean test set.

        Arrays must have the very labels, image by image. Folders sort their images by class, and those of
        TinyImageNet-C are other photographs than the clean ones: the number of images of each class must agree.

        Args:
            clean: int64 [N].

        Raises:
            ImpastoError: they differ; names the first file and image.
        """
        for name in self.names:
            for severity in self.severities:
                found = self.labels(name, severity)
                want = np.sort(clean) if self.layout == "folders" else clean
                if len(found) != len(clean):
                    raise self._other(name, severity, f"holds {len(found):,} images, the clean set {len(clean):,}")
                if (wrong := np.flatnonzero(found != want)).size:
                    row = int(wrong[0])
                    told = f"shows class {found[row]} where the clean set has {want[row]} (image {row})"
                    raise self._other(name, severity, told)

    def require_alike(self, labels: np.ndarray, classes: tuple[str, ...], size: tuple[int, int]) -> None:
        """See that scores on this set can stand beside those on a clean one, whatever the order of the images.

        Args:
            labels: of the clean images, int64 [N].
            classes: their names; class folders must bear the same, arrays number the classes alike.
            size: height and width of the clean images, px.

        Raises:
            ImpastoError: another number of images in a class, other classes or another size; names the file.
        """
        wanted = np.bincount(labels, minlength=len(classes))
        for name in self.names:
            for severity in self.severities:
                found, own = self.open(name, severity), self.labels(name, severity)
                if found.shape[1:3] != size:
                    told = "holds images of {}x{} px, the clean set of {}x{}".format(*found.shape[1:3], *size)
                    raise self._other(name, severity, told)
                if isinstance(found, ImageFolder) and found.classes != classes:
                    lone = sorted(set(found.classes) ^ set(classes))[:1] or ["in another order"]
                    raise self._other(name, severity, f"holds other classes than the clean set: {lone[0]}")
                counts = np.bincount(own, minlength=len(classes))
                if len(counts) != len(wanted) or (counts != wanted).any():
                    place = int(np.flatnonzero(counts[: len(wanted)] != wanted)[0]) if len(counts) == len(wanted) else 0
                    told = f"holds {counts[place]} images of class {place}, the clean set {wanted[place]}"
                    raise self._other(name, severity, told)

    def verify(self) -> None:
        """Check every file: that all that must be there is there, and its checksum where one is known.

        Raises:
            ImpastoError: names the first file that is missing or wrong.
        """
        wanted = self._published.names if self._published else tuple(self._made.corruptions) if self._made else ()
        for name in dict.fromkeys((*wanted, *self.names)):
            for severity in self.severities:
                self.labels(name, severity)
            if self._made and self.layout == "folders":
                self._check_tree(name, self._made.corruptions[name])

    def _other(self, name: str, severity: int, told: str) -> ImpastoError:
        where = self._stored[name] / str(severity) if self.layout == "folders" else self.root / "labels.npy"
        return ImpastoError(f"{where} {told}", where=str(self.root), remedy="Is it the set of another dataset?")

    def _require(self, name: str, severity: int) -> None:
        if severity not in self.severities:
            told = ", ".join(map(str, self.severities))
            raise ImpastoError(f"{self.root} has no severity {severity!r}", where=name, remedy=f"It has {told}.")
        if name in self.names:
            return
        if name in _ORDER:
            path = self.root / (name if self.layout == "folders" else f"{name}.npy")
            raise ImpastoError(f"{path} does not exist", where=str(self.root), remedy=_REMEDY)
        nearest = difflib.get_close_matches(name, self.names, n=1)
        remedy = f"Did you mean {nearest[0]!r}?" if nearest else f"It has {', '.join(self.names)}."
        raise ImpastoError(f"{self.root} has no {name!r}", where=str(self.root), remedy=remedy)

    def _folder(self, name: str, severity: int) -> ImageFolder:
        root, one = self._stored[name] / str(severity), self._published
        if self._made:
            return ImageFolder(root, dict(zip(self._made.classes, self._made.counts, strict=True)))
        found = ImageFolder(root)
        if one and len(found.classes) != one.classes:
            told = f"{root} holds {len(found.classes)} classes, {one.folder} has {one.classes}"
            raise ImpastoError(told, where=str(self.root), remedy=_REMEDY)
        if one:
            each = one.shape[0] // one.classes
            for place in np.flatnonzero(np.bincount(found.labels) != each)[:1]:
                held = int((found.labels == place).sum())
                told = f"{root / found.classes[place]} holds {held} images, {one.folder} has {each}"
                raise ImpastoError(told, where=str(self.root), remedy=_REMEDY)
        return found

    def _check_tree(self, name: str, part: manifest.Part) -> None:
        files, size = manifest.measure(self._stored[name])
        if (files, size) != (part.files, part.bytes):
            told = f"{self._stored[name]} holds {files:,} files of {size:,} bytes, expected {part.files:,} of "
            raise ImpastoError(f"{told}{part.bytes:,}", where=str(self.root), remedy=_REMEDY)

    def _array(self, name: str) -> np.ndarray:
        path = self._stored[name]
        self._check_file(path)
        images = _open_npy(path)
        right = images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] == 3
        if not right or len(images) % len(self.severities):
            told = f"{path} holds {images.dtype} {list(images.shape)}, expected uint8 [severities x N, H, W, 3]"
            raise ImpastoError(told, where=str(self.root), remedy=_REMEDY)
        return images

    def _block_labels(self, n: int) -> np.ndarray:
        if self._labels is None:
            path = self.root / "labels.npy"
            self._check_file(path)
            self._labels = np.array(_open_npy(path))
        labels, blocks = self._labels, len(self.severities)
        if labels.dtype.kind not in "ui" or labels.shape != (blocks * n,):
            told = f"{self.root / 'labels.npy'} holds {labels.dtype} {list(labels.shape)}, expected [{blocks * n}]"
            raise ImpastoError(told, where=str(self.root), remedy=_REMEDY)
        if (labels.reshape(blocks, n) != labels[:n]).any():
            told = f"{self.root / 'labels.npy'} differs from severity to severity"
            raise ImpastoError(told, where=str(self.root), remedy=_REMEDY)
        return labels[:n].astype(np.int64)

    def _check_file(self, path: Path) -> None:
        """Hold a file against the checksum that it must have, if one is known."""
        size = md5 = None
        if self._made and (part := self._made.corruptions.get(path.stem)):
            size, md5 = part.bytes, part.md5
        elif self._published and self._published.md5:
            md5 = self._published.md5.get(path.name, "none: no such file is published")
        if path.is_file() and (fault := fault_of(path, size, md5)):
            raise ImpastoError(f"{path} {fault}", where=str(self.root), remedy=_REMEDY)


def holds_set(root: Path) -> bool:
    """Whether a folder looks like one :class:`OfficialSet`."""
    return bool(_stored(root))


def _stored(root: Path) -> dict[str, Path]:
    """The file or folder of each corruption, by its name in the benchmarks."""
    entries = sorted(root.iterdir()) if root.is_dir() else []
    found = {path.stem: path for path in entries if path.suffix == ".npy" and path.name != "labels.npy"}
    found = found or {path.name: path for path in entries if any((path / str(s)).is_dir() for s in range(1, 6))}
    for name, alias in ALIASES.items():
        if name not in found and alias in found:
            found[name] = found.pop(alias)
    return {name: path for name, path in found.items() if not name.startswith(".")}


def _open_npy(path: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise ImpastoError(f"{path} does not exist", where=str(path.parent), remedy=_REMEDY) from error
    except (ValueError, EOFError, OSError) as error:
        told = f"{path} is truncated or no array: {error}"
        raise ImpastoError(told, where=str(path.parent), remedy=_REMEDY) from error
    return array
