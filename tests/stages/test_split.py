"""The stage split: by seed, by the dataset's own validation split, or by groups that stay whole."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from impasto.data.images import Images, stratified
from impasto.io import read_json, read_npy
from impasto.rng import numpy_generator
from impasto.stages.download import download
from impasto.stages.split import split
from official_files import kaokore_folder, kaokore_rows
from tiny import change


def run(images: Images) -> tuple[np.ndarray, np.ndarray]:
    """The rows that it writes for training and validation."""
    images.save(Path("raw"))
    split(images=Path("raw"), out=Path("split"), timing=Path("time.json"))
    return np.array(read_npy(Path("split/train.npy"))), np.array(read_npy(Path("split/validation.npy")))


def images(**own: np.ndarray) -> Images:
    """60 images of two classes."""
    pixels = np.arange(60, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 4, 4), np.uint8)
    return Images(pixels, np.arange(60) % 2, ("a", "b"), "numbers", **own)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def quarter(params: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(template, params.parent / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{params.parent}/mlflow.db")
    change(params, dataset__validation=0.25)


def test_a_seed_divides_what_says_nothing(params: Path) -> None:
    found = run(images())
    wanted = stratified(np.arange(60) % 2, 0.25, numpy_generator(0, "split"))
    assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))
    assert set(read_json(Path("raw/meta.json"))) == {"classes", "counts", "digest", "n", "source"}
    assert {path.name for path in Path("raw").iterdir()} == {"images.npy", "labels.npy", "meta.json"}


def test_the_validation_split_of_the_dataset(params: Path) -> None:
    held = np.array([3, 4, 50, 51, 52])
    for seed in (0, 1):
        change(params, seed=seed)
        train, validation = run(images(validation=held))
        assert validation.tolist() == held.tolist() and train.tolist() == sorted(set(range(60)) - set(held.tolist()))
    assert read_json(Path("split/meta.json")) == {"train": {"a": 27, "b": 28}, "validation": {"a": 3, "b": 2}}


def test_a_long_tail_is_cut_from_the_training_split_alone(params: Path) -> None:
    whole, held = run(images())
    change(params, dataset__imbalance=5.0)
    train, validation = run(images())
    assert validation.tolist() == held.tolist() and set(train.tolist()) < set(whole.tolist())
    assert sorted(np.bincount(train % 2)) == [4, 22] == sorted(read_json(Path("split/meta.json"))["train"].values())


@pytest.mark.parametrize(
    ("own", "told"),
    [
        (
            {"balance__rare": ["bb"]},
            "balance.rare names the class 'bb', which there is not [balance.rare]. Did you mean",
        ),
        ({"balance__multipliers": [{"class": "x", "copies": 2.0}]}, "balance.multipliers names the class 'x'"),
    ],
)
def test_a_class_that_balance_misspells_is_refused_before_anything_is_fitted(
    params: Path, capsys: pytest.CaptureFixture[str], own: dict[str, Any], told: str
) -> None:
    change(params, **own)
    with pytest.raises(typer.Exit) as caught:
        run(images())
    assert caught.value.exit_code == 2 and told in capsys.readouterr().err and not Path("split").exists()


def test_groups_stay_whole(params: Path) -> None:
    groups = np.arange(60) // 5
    found = []
    for seed in (0, 0, 1, 2, 3):
        change(params, seed=seed)
        train, validation = run(images(groups=groups))
        assert sorted([*train, *validation]) == list(range(60)) and not set(groups[train]) & set(groups[validation])
        assert len(validation) == 15
        found.append(validation.tolist())
    assert found[0] == found[1] and any(one != found[0] for one in found[2:])


def test_what_belongs_to_rows_goes_with_them() -> None:
    whole = images(groups=np.arange(60) // 5, validation=np.array([1, 2]))
    part = whole.take(np.array([7, 50]))
    assert part.groups is not None and part.groups.tolist() == [1, 10] and part.validation is None


@pytest.mark.parametrize("kind", ["official", "disjoint"])
def test_the_splits_of_faces(params: Path, kind: str) -> None:
    """Two stages on: the dev images of the authors are the validation split; or no group is in two of three splits."""
    kaokore_folder(Path("faces"))
    own = {"dataset__name": "kaokore", "dataset__root": "faces", "dataset__published": False}
    change(params, **own, dataset__version=1.2, dataset__task="status", dataset__split=kind, dataset__test=0.3)
    Path("token").touch()
    download(token=Path("token"), train=Path("raw/train"), test=Path("raw/test"), timing=Path("time.json"))
    split(images=Path("raw/train"), out=Path("split"), timing=Path("time.json"))
    counts = read_json(Path("split/meta.json"))
    train, meta = Images.load(Path("raw/train")), read_json(Path("raw/test/meta.json"))
    assert len(train) + meta["n"] == len(kaokore_rows()) - 1 and meta["licence"] == "CC BY-SA 4.0"
    if kind == "official":
        assert train.classes == ("noble", "warrior", "incarnation", "commoner") and train.validation is not None
        assert set(counts["validation"].values()) == {4} and meta["n"] == 23
    else:
        rows = [np.array(read_npy(Path(f"split/{name}.npy"))) for name in ("train", "validation")]
        assert train.groups is not None and not set(train.groups[rows[0]]) & set(train.groups[rows[1]])
        assert all(counts["validation"].values())
