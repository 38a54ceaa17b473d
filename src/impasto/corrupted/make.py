"""Corrupted test sets made here, in the layout of the published ones: whole, resumable, and marked as what they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from impasto import corruptions, rng
from impasto.corrupted import manifest
from impasto.corrupted.manifest import Manifest, Part
from impasto.corrupted.write import write_array, write_folders, write_labels, write_readme
from impasto.corruptions.registry import corrupt
from impasto.corruptions.tables import table_for
from impasto.data.checked import fault_of
from impasto.data.images import Images, read_rows, to_device
from impasto.errors import ImpastoError
from impasto.io import digest
from impasto.progress import track

_BATCH_PIXELS = 2**20  # of one batch; with the temporaries of a corruption, what the memory must hold


def plan(folder: Path, seed: int, table: str, severities: tuple[int, ...], layout: str) -> Manifest:
    """The manifest of a set that is to be made.

    Args:
        folder: ``images.npy``, ``labels.npy`` and ``meta.json`` of the clean images.
        seed: of all draws.
        table: whose constants; ``auto``: by the size of the images.
        severities: ascending, from 1 to 5.
        layout: ``npy``, ``folders``, or ``auto``: that of the published set with these constants.

    Raises:
        ImpastoError: the folder holds no such images, or they cannot be written in the layout.
    """
    clean = load_clean(folder)
    table = table_for(min(clean.pixels.shape[2:])) if table == "auto" else table
    layout = ("npy" if table == "cifar" else "folders") if layout == "auto" else layout
    if layout == "folders":
        _check_class_names(clean.classes, folder)
    code = digest(Path(str(corruptions.__file__)).parent, Path(rng.__file__))
    return Manifest(
        seed=seed,
        table=table,
        severities=severities,
        layout=layout,
        images=digest(folder / "images.npy", folder / "labels.npy"),
        source=clean.source,
        classes=clean.classes,
        counts=tuple(clean.counts().values()),
        version=version("impasto"),
        code=code,
        libraries={name: version(name) for name in ("torch", "torchvision", "numpy", "scipy", "pillow")},
    )


def regenerate(folder: Path, out: Path, names: Sequence[str], planned: Manifest, device: torch.device) -> list[str]:
    """Write a set; what an earlier run finished is verified and left as it is.

    Memory does not grow with the set. Each corruption appears under its name when it is whole.

    Args:
        folder: the clean images.
        out: the folder of the set.
        names: corruptions that are implemented.
        planned: from :func:`plan`.
        device: where to work.

    Returns:
        The names that were written now.

    Raises:
        ImpastoError: ``out`` holds another set or another process writes there.
    """
    _check_ours(out)
    out.mkdir(parents=True, exist_ok=True)
    try:
        # the file stays: who opened it before it is removed would lock what nobody else sees
        with FileLock(out / ".lock", timeout=0):
            current = _begin(out, planned)
            if current.layout == "npy" and not _whole(out / "labels.npy", current.labels):
                current.labels = write_labels(out / "labels.npy", load_clean(folder), len(current.severities))
                current.save(out)
            todo = [name for name in names if not _finished(out, current, name)]
            for place, name in enumerate(todo, start=1):
                label = f"{name} ({place}/{len(todo)})"
                current.corruptions[name] = _write(folder, out, name, current, device, label)
                current.save(out)
            write_readme(out, current)
            return todo
    except Timeout as error:
        remedy = "Wait for it, or name another folder with --out."
        raise ImpastoError(f"another process writes to {out}", where=str(out), remedy=remedy) from error


def load_clean(folder: Path) -> Images:
    """Open the clean images.

    Raises:
        ImpastoError: a file is missing, or what it holds is no set of labelled RGB images.
    """
    for name in ("meta.json", "images.npy", "labels.npy"):
        if not (folder / name).is_file():
            remedy = "Run `dvc repro download`, or name a folder with images.npy, labels.npy and meta.json."
            raise ImpastoError(f"{folder / name} does not exist", where="--images", remedy=remedy)
    try:
        clean = Images.load(folder)
        if clean.labels.ndim != 1 or not ((clean.labels >= 0) & (clean.labels < len(clean.classes))).all():
            raise ValueError(f"labels must lie from 0 to {len(clean.classes) - 1}")
    except (ValueError, KeyError, TypeError) as error:
        remedy = "Name a folder that `impasto download` wrote, or one with the same three files."
        raise ImpastoError(f"{folder} holds no labelled images: {error}", where="--images", remedy=remedy) from error
    if not len(clean):
        raise ImpastoError(f"{folder} holds no images", where="--images", remedy="Name a test set with images.")
    return clean


def _check_ours(out: Path) -> None:
    """Refuse what is not empty and no set, before anything is written there."""
    if out.exists() and not out.is_dir():
        raise ImpastoError(f"{out} is a file", where="--out", remedy="Name a folder.")
    strange = [path.name for path in sorted(out.glob("*")) if not path.name.startswith(".")]
    if strange and not (out / manifest.NAME).exists():
        told = f"{out} holds {strange[0]}, which impasto did not write"
        raise ImpastoError(told, where=str(out), remedy="Name a new folder with --out.")


def _begin(out: Path, planned: Manifest) -> Manifest:
    """Go on with the set that is in ``out``, or begin one where nothing of the kind lies."""
    found = manifest.load(out)
    if found:
        manifest.require_same(found, planned, out)
        for stale in out.glob(".*.part"):  # of a killed run
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
        return found
    planned.save(out)
    write_readme(out, planned)
    return planned


def _finished(out: Path, current: Manifest, name: str) -> bool:
    part = current.corruptions.get(name)
    if current.layout == "npy":
        return _whole(out / f"{name}.npy", part)
    return part is not None and (out / name).is_dir() and manifest.measure(out / name) == part


def _whole(path: Path, part: Part | None) -> bool:
    return part is not None and path.is_file() and fault_of(path, part.bytes, part.md5) is None


def _write(folder: Path, out: Path, name: str, current: Manifest, device: torch.device, label: str) -> Part:
    clean = load_clean(folder)
    blocks = _blocks(folder, name, current, device, label)
    if current.layout == "npy":
        n, _, height, width = clean.pixels.shape
        return write_array(out / f"{name}.npy", (len(current.severities) * n, height, width, 3), blocks)
    return write_folders(out / name, clean, blocks)


def _blocks(
    folder: Path, name: str, current: Manifest, device: torch.device, label: str
) -> Iterator[tuple[int, slice, np.ndarray]]:
    """Yield (severity, rows, uint8 [B, H, W, 3]), severity by severity; an image's id is its row."""
    clean = load_clean(folder).pixels
    n, _, height, width = clean.shape
    size = max(1, _BATCH_PIXELS // (height * width))
    per_severity = -(-n // size)
    for step in track(len(current.severities) * per_severity, label, "batch"):
        severity, start = current.severities[step // per_severity], step % per_severity * size
        rows = slice(start, min(start + size, n))
        pixels = to_device(read_rows(clean, rows), device)
        ids = torch.arange(rows.start, rows.stop)
        spoilt = corrupt(pixels, name, severity, current.seed, ids, current.table)
        yield severity, rows, spoilt.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def _check_class_names(classes: tuple[str, ...], folder: Path) -> None:
    """Readers number class folders in the order of their names."""
    remedy = "Use --layout npy, or give the classes other names."
    if list(classes) != sorted(set(classes)):
        told = "the classes are not in the order of their names, by which readers of folders number them"
        raise ImpastoError(told, where=str(folder), remedy=remedy)
    for name in classes:
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise ImpastoError(f"class {name!r} cannot be a folder", where=str(folder), remedy=remedy)
