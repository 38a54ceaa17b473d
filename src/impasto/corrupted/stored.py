"""Corrupted test sets on disk: the authors' own files, and those that impasto made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np

from impasto.corrupted import manifest
from impasto.corrupted.layout import ORDER, REMEDY, open_npy, stored
from impasto.corrupted.published import Published, fetched, published_in
from impasto.data.checked import fault_of
from impasto.data.image_folder import ImageFolder
from impasto.errors import ImpastoError, closest


class StoredSet:
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
        made: the manifest of a set that impasto made, None of others.
        places: the file or folder of each corruption.
        published: the set whose checksums the files must have, or None.

    Raises:
        ImpastoError: there is no such set.
    """

    def __init__(self, root: str | os.PathLike[str], published: Published | None = None) -> None:
        self.root = root = Path(root)
        self.made = manifest.load(root)
        self.published = None if self.made else published or published_in(root)
        self.places = stored(root)
        if self.made:  # what it does not list was not finished
            self.places = {name: path for name, path in self.places.items() if name in self.made.corruptions}
        if not self.places:
            raise ImpastoError(f"{root} holds no corrupted test set", where=str(root), remedy=REMEDY)
        known = [name for name in ORDER if name in self.places]
        self.names = (*known, *sorted(self.places.keys() - set(known)))
        self.layout = "npy" if self.places[self.names[0]].suffix else "folders"
        self.severities = self.made.severities if self.made else (1, 2, 3, 4, 5)
        self._labels: np.ndarray | None = None

    @property
    def origin(self) -> Literal["official", "regenerated", "unverified"]:
        """Where the set comes from, as far as that is proved (see the class)."""
        if self.made:
            return "regenerated"
        one = self.published
        return "official" if one and (one.md5 or fetched(self.root, one)) else "unverified"

    @property
    def description(self) -> str:
        """The origin, and of a set that impasto made whose constants and which seed."""
        made = self.made
        return f"{self.origin} with the constants of {made.table}, seed {made.seed}" if made else self.origin

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

    def verify(self) -> None:
        """Check every file: that all that must be there is there, and its checksum where one is known.

        Raises:
            ImpastoError: names the first file that is missing or wrong.
        """
        wanted = self.published.names if self.published else tuple(self.made.corruptions) if self.made else ()
        for name in dict.fromkeys((*wanted, *self.names)):
            for severity in self.severities:
                self.labels(name, severity)
            if self.made and self.layout == "folders":
                self._check_tree(name, self.made.corruptions[name])

    def _require(self, name: str, severity: int) -> None:
        if severity not in self.severities:
            told = ", ".join(map(str, self.severities))
            raise ImpastoError(f"{self.root} has no severity {severity!r}", where=name, remedy=f"It has {told}.")
        if name in self.names:
            return
        if name in ORDER:
            path = self.root / (name if self.layout == "folders" else f"{name}.npy")
            raise ImpastoError(f"{path} does not exist", where=str(self.root), remedy=REMEDY)
        meant = closest(name, self.names)
        remedy = f"Did you mean {meant!r}?" if meant else f"It has {', '.join(self.names)}."
        raise ImpastoError(f"{self.root} has no {name!r}", where=str(self.root), remedy=remedy)

    def _folder(self, name: str, severity: int) -> ImageFolder:
        root, one = self.places[name] / str(severity), self.published
        if self.made:
            return ImageFolder(root, dict(zip(self.made.classes, self.made.counts, strict=True)))
        found = ImageFolder(root)
        if one and len(found.classes) != one.classes:
            told = f"{root} holds {len(found.classes)} classes, {one.folder} has {one.classes}"
            raise ImpastoError(told, where=str(self.root), remedy=REMEDY)
        if one:
            each = one.shape[0] // one.classes
            for place in np.flatnonzero(np.bincount(found.labels) != each)[:1]:
                held = int((found.labels == place).sum())
                told = f"{root / found.classes[place]} holds {held} images, {one.folder} has {each}"
                raise ImpastoError(told, where=str(self.root), remedy=REMEDY)
        return found

    def _check_tree(self, name: str, part: manifest.Part) -> None:
        found = manifest.measure(self.places[name])
        if found != part:
            is_, must = (f"{one.files:,} files of {one.bytes:,} bytes with md5 {one.md5}" for one in (found, part))
            told = f"{self.places[name]} holds {is_}, expected {must}"
            raise ImpastoError(told, where=str(self.root), remedy=REMEDY)

    def _array(self, name: str) -> np.ndarray:
        path = self.places[name]
        self._check_file(path)
        images = open_npy(path)
        right = images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] == 3
        if not right or len(images) % len(self.severities):
            told = f"{path} holds {images.dtype} {list(images.shape)}, expected uint8 [severities x N, H, W, 3]"
            raise ImpastoError(told, where=str(self.root), remedy=REMEDY)
        return images

    def _block_labels(self, n: int) -> np.ndarray:
        if self._labels is None:
            path = self.root / "labels.npy"
            self._check_file(path)
            self._labels = np.array(open_npy(path))
        labels, blocks = self._labels, len(self.severities)
        if labels.dtype.kind not in "ui" or labels.shape != (blocks * n,):
            told = f"{self.root / 'labels.npy'} holds {labels.dtype} {list(labels.shape)}, expected [{blocks * n}]"
            raise ImpastoError(told, where=str(self.root), remedy=REMEDY)
        if (labels.reshape(blocks, n) != labels[:n]).any():
            told = f"{self.root / 'labels.npy'} differs from severity to severity"
            raise ImpastoError(told, where=str(self.root), remedy=REMEDY)
        return labels[:n].astype(np.int64)

    def _check_file(self, path: Path) -> None:
        """Hold a file against the checksum that it must have, if one is known."""
        size = md5 = None
        if self.made and (part := self.made.labels if path.name == "labels.npy" else self.made.corruptions[path.stem]):
            size, md5 = part.bytes, part.md5
        elif self.published and self.published.md5:
            md5 = self.published.md5.get(path.name, "none: no such file is published")
        if path.is_file() and (fault := fault_of(path, size, md5)):
            raise ImpastoError(f"{path} {fault}", where=str(self.root), remedy=REMEDY)
