"""The whole pipeline on folders and archives of real images, where they are at hand."""

from __future__ import annotations

import json
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from repository import TINY, Repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def data(name: str) -> Path:
    """A file or folder of the images that IMPASTO_TEST_DATA names."""
    place = Path(os.environ.get("IMPASTO_TEST_DATA", "/nowhere")) / name
    if not place.exists():
        pytest.skip(f"{name} is not here: name its folder in IMPASTO_TEST_DATA")
    return place


def go(root: Path, images: Path, *more: str, name: str = "folder") -> dict[str, object]:
    repository = Repository(root, TINY)
    leaves = [f"dataset.name={name}", f"dataset.root={images}", "augment.flip=true", *more]
    repository.dvc("exp", "run", *(word for leaf in leaves for word in ("-S", leaf)))
    assert (root / "report" / "index.html").stat().st_size > 50_000
    found: dict[str, object] = json.loads((root / "metrics" / "evaluate.json").read_text())[0]
    return found


def test_paintings(tmp_path: Path) -> None:
    """One tree of class folders, unbalanced, which a seed divides."""
    found = go(tmp_path / "repository", data("paintings"))
    assert found["classes"] == ["dog", "elephant", "giraffe", "guitar", "horse", "house", "person"]


def test_cifar_as_folders(tmp_path: Path) -> None:
    """train/ and test/, as files that a person would have."""
    archive = data("cifar-10-subset.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "raw", filter="data")
    for part, files in {"train": ["data_batch_1"], "test": ["test_batch"]}.items():
        for file in files:
            batch = pickle.loads(next((tmp_path / "raw").rglob(file)).read_bytes(), encoding="bytes")
            for index, (flat, label) in enumerate(zip(batch[b"data"][:800], batch[b"labels"], strict=False)):
                target = tmp_path / "cifar" / part / f"class {label}" / f"{index}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.asarray(flat).reshape(3, 32, 32).transpose(1, 2, 0)).save(target)
    found = go(tmp_path / "repository", tmp_path / "cifar")
    assert found["n"] == 800 and len(found["classes"]) == 10  # type: ignore[arg-type]


def test_cifar_in_its_official_layout(tmp_path: Path) -> None:
    """The archive by its path; the report says that it is not the published one."""
    root, archive = tmp_path / "repository", data("cifar-10-subset.tar.gz")
    found = go(root, archive, "dataset.published=false", "train.epochs=2", "train.period=2", name="cifar10")
    assert found["n"] == 2000 and found["classes"][:2] == ["airplane", "automobile"]  # type: ignore[index]
    for page in ("index.html", "model_card.md"):
        assert "not the published archive: cifar-10-subset.tar.gz, sha256 " in (root / "report" / page).read_text()
