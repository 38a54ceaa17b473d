"""A folder of class folders as an array of images that are decoded when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from impasto.data.decode import UNREADABLE, class_names, image_files
from impasto.errors import ImpastoError


class ImageFolder:
    """The images ROOT/CLASS/* in the order of class names, then of file names; all of the size of the first one.

    Args:
        root: the folder.
        counts: how many images each class must have; None: any number.

    Attributes:
        classes: names of the class folders, sorted; an image's label is the place of its class.
        labels: int64 [N].
        shape: (N, H, W, 3), as of an array.

    Raises:
        ImpastoError: the folder or a class folder is missing or empty, or holds another number of images, or a link
            that leads nowhere.
    """

    def __init__(self, root: Path, counts: Mapping[str, int] | None = None) -> None:
        if not root.is_dir():
            raise _wrong(f"{root} does not exist", root)
        self.classes = tuple(class_names(root))
        found = {name: image_files(root / name, subfolders=False) for name in self.classes}
        _check_counts(root, found, counts)
        self._files = [file for files in found.values() for file in files]
        self.labels = np.repeat(np.arange(len(found)), [len(files) for files in found.values()])
        if not self._files:
            raise _wrong(f"{root} holds no images", root)
        self.shape = (len(self._files), *_decode(self._files[0]).shape)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Decode the images at ``rows``, a slice or an int64 array, into uint8 [B, H, W, 3].

        Raises:
            ImpastoError: names the file that is no readable image or has another size.
        """
        chosen = [self._files[row] for row in np.arange(len(self))[rows]]
        pixels = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for place, image in enumerate(pool.map(_decode, chosen)):
                if image.shape != self.shape[1:]:
                    size, expected = (f"{s[1]}x{s[0]}" for s in (image.shape, self.shape[1:]))
                    raise _wrong(f"{chosen[place]} has {size} pixels, the first image {expected}", chosen[place])
                pixels[place] = image
        return pixels


def _check_counts(root: Path, found: Mapping[str, list[Path]], counts: Mapping[str, int] | None) -> None:
    if counts is None:
        return
    for name in sorted(counts.keys() | found.keys()):
        if name not in found:
            raise _wrong(f"{root / name} does not exist", root)
        if len(found[name]) != counts.get(name):
            told = f"{root / name} holds {len(found[name])} images, expected {counts.get(name, 'no such folder')}"
            raise _wrong(told, root)


def _decode(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as opened:
            return np.asarray(opened.convert("RGB"))
    except UNREADABLE as error:
        raise _wrong(f"{file} cannot be read as an image: {error}", file) from error


def _wrong(what: str, where: Path) -> ImpastoError:
    return ImpastoError(what, where=str(where), remedy="Fetch or make the set again.")
