"""Synthetic images that exist already: none, a folder, or an npz file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from impasto.data.images import Images
from impasto.data.sources.folder import read_tree
from impasto.errors import ImpastoError


def no_images(like: Images) -> Images:
    """An empty pool with the classes and the size of ``like``."""
    return Images(np.empty((0, *like.pixels.shape[1:]), np.uint8), np.empty(0, np.int64), like.classes, "none")


def folder_pool(root: Path, like: Images) -> Images:
    """The pool of a folder of class folders, at the size of ``like``.

    Raises:
        ImpastoError: the folder is missing or its classes are not those of the dataset.
    """
    if not root.is_dir():
        raise ImpastoError(f"{root} is no directory", where="synthetic.root", remedy="Name a folder of class folders.")
    pool = read_tree(root, like.pixels.shape[-1])
    if pool.classes != like.classes:
        lone = sorted(set(pool.classes) ^ set(like.classes))
        raise ImpastoError(
            f"the classes of {root} are not the dataset's: {', '.join(lone)}",
            where="synthetic.root",
            remedy="Give it the same class folders as the dataset.",
        )
    return pool
