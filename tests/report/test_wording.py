"""The recipe as a sentence, and numbers as words."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML

from impasto.config.base import load, parse
from impasto.config.dataset import NATIVE, Dataset
from impasto.report.findings import RIGHTS
from impasto.report.recipe import Recipe, sentence, subject
from impasto.report.wording import decimal, duration, extent, listed, literal, memory, plural, ranged, share

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
DATASET = {
    "name": "digits", "root": None, "published": True, "version": None, "task": None, "split": None, "size": 32,
    "test": 0.2, "validation": 0.1, "seed": 0, "imbalance": 1.0,
}  # fmt: skip
FACES = {"version": "1.2", "task": "status", "split": "official"}
DEFAULT = {
    "seeds": [0], "lambda": 0.5, "lambda_o": 0.2, "lambda_s": 0.5, "dataset.name": "digits", "style.method": "adain",
    "style.bank": "procedural", "balance.strength": 0.0, "augment.trivial": True, "model.depth": 10, "model.width": 2,
    "train.epochs": 30,
}  # fmt: skip
FAITHFUL = {
    "style__faithful": True, "style__decoder__source": "published", "style__encoder": "vgg19", "style__refresh": 1.0,
}  # fmt: skip


def told(tmp_path: Path, **changes: Any) -> str:
    yaml = YAML()
    tree = yaml.load(PARAMS)
    for leaf, value in {**DEFAULT, **{name.replace("__", "."): value for name, value in changes.items()}}.items():
        *steps, last = leaf.split(".")
        section = tree
        for step in steps:
            section = section[step]
        section[last] = value
    yaml.dump(tree, tmp_path / "params.yaml")
    recipe = Recipe.read(partial(load, tmp_path / "params.yaml"))
    return sentence(recipe, training=3500, styles=400).replace("\u202f", " ")


def test_default_recipe(tmp_path: Path) -> None:
    stages = [{"open": 1, "epochs": 1, "learning_rate": 0.02, "batch_norm": "frozen"}] * 2
    assert told(tmp_path, finetune__stages=stages) == (
        "WRN-10-2 on 3,500 coloured digits, half of each batch synthetic, 20 % of original images and 50 % of "
        "synthetic images painted with one of 400 procedural styles, TrivialAugment, 30 epochs, then 2 unfreezing "
        "stages; seed 0."
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lambda": 0.35}, "35 % of each batch synthetic"),
        ({"lambda": 1.0}, "synthetic images only, 50 % of synthetic images painted"),
        ({"lambda": 0.0}, "no synthetic images, 20 % of original images painted"),
        ({"lambda_o": 0.0, "lambda_s": 0.0}, "none of them stylised, TrivialAugment"),
        ({"lambda_s": 0.125}, "and 12.5 % of synthetic images"),
        ({"lambda": {0: 0.5}}, "50 % of each batch synthetic"),
        ({"lambda": {0: 0.5, 9: 0.2, 20: 0}}, "50 % (20 % from epoch 9, 0 % from epoch 20) of each batch synthetic"),
        ({"lambda": {0: 0, 9: 0.2}}, "20 % of original images and 50 % of synthetic images painted"),
        ({"lambda": {0: 1, 9: 0.2}}, "20 % of original images and 50 % of synthetic images painted"),
        ({"lambda_o": {0: 0, 9: 0}, "lambda_s": {0: 0.0}}, "none of them stylised"),
        (
            {"lambda_s": {epoch: 0.5 - epoch / 100 for epoch in range(26)}},
            "50 % (25 % in the end, by 25 steps) of synthetic images painted",
        ),
        ({"style__method": "colour"}, "recoloured after one of 400 procedural styles"),
        ({"style__bank": "folder"}, "one of 400 collected styles"),
        ({"balance__strength": 1.0}, "classes drawn equally often, TrivialAugment"),
        ({"balance__strength": 0.5}, "class balance 0.5,"),
        (
            {"balance__p1": 0.8, "balance__p2": "fill"},
            ", stylised copies per image: 0.8 in majority, up to the largest in",
        ),
        (
            {"balance__multipliers": [{"class": "7", "copies": 2.0}], "balance__copy": "duplicate"},
            "duplicates per image: 0 in majority, 0 in rare classes, 2 in 7, TrivialAugment",
        ),
        ({"style__bank": "training", "style__count": None}, "painted with one of 400 styles, the training images'"),
        ({"augment__trivial": False}, "no TrivialAugment, 30 epochs"),
        ({"augment__trivial": False, "augment__augmix": "all"}, "procedural styles, AugMix, 30 epochs"),
        ({"augment__trivial": False, "augment__augmix": "official"}, ", AugMix of its official operations, 30"),
        ({"augment__trivial": False, "augment__augmix": "noisymix"}, "official operations and colour, 30 epochs"),
        ({"augment__erase": 0.3}, "TrivialAugment, 30 % of images erased in part, 30 epochs"),
        ({"augment__deepaugment__share": 0.5}, "TrivialAugment, 50 % of each batch through Noise2Net, 30 epochs"),
        ({"augment__mixup": 0.5, "augment__cutmix": 0.25}, ", Mixup of 50 % of batches, CutMix of 25 % of batches, 30"),
        ({"augment__noise": True}, "TrivialAugment, patched p-norm noise, 30 epochs"),
        (
            {"augment__noise": True, "augment__feature_noise": "siedel"},
            "patched p-norm noise, feature noise, 30 epochs",
        ),
        ({"augment__feature_noise": "noisymix"}, "TrivialAugment, NoisyMix's feature noise, 30 epochs"),
        ({"train__consistency": 12.0}, "TrivialAugment, consistency of three views, 30 epochs"),
        (FAITHFUL, "one of 400 procedural styles as in the code of Siedel et al., TrivialAugment"),
        (FAITHFUL | {"lambda": 0.0, "lambda_o": 0.0}, "none of them stylised, TrivialAugment"),
        ({"finetune__stages": [], "train__epochs": 1}, "1 epoch; seed 0."),
        ({"seeds": [0, 1, 2]}, "; seeds 0, 1 and 2."),
        ({"dataset__name": "folder", "dataset__root": "/data/plants/"}, "3,500 images of plants"),
        ({"dataset__imbalance": 10.0}, ", thinned out to a long tail of 10 to 1, "),
    ],
)
def test_each_choice_is_told(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    assert words in told(tmp_path, **changes)


def test_numbers() -> None:
    thin = "\u202f"
    times = [duration(s).replace(thin, "") for s in (3.14, 59.96, 60, 125.4, 3599.6, 7620)]
    assert times == ["3.1s", "1min 00s", "1min 00s", "2min 05s", "1h 00min", "2h 07min"]
    assert [memory(mb) for mb in (612, 2048)] == [f"612{thin}MB", f"2.0{thin}GB"]
    assert [decimal(v) for v in (0.01234, 88.5451, 1404.6, 23456.7)] == ["0.01234", "88.55", "1405", "23457"]
    assert [share(v) for v in (0.5, 0.125, 1.0)] == [f"50{thin}%", f"12.5{thin}%", f"100{thin}%"]
    assert [extent(v) for v in ((1.0, 1.0), (0.1, 1.0))] == ["1", "0.1 to 1"]


def test_lists() -> None:
    assert [listed(items) for items in ([], [0], [0, 1], [0, 1, 2])] == ["", "0", "0 and 1", "0, 1 and 2"]
    assert [ranged(items) for items in ([5], [1, 2], [1, 2, 3], [1, 3, 5])] == ["5", "1 and 2", "1 to 3", "1, 3 and 5"]
    assert [plural(count, "stage") for count in (0, 1, 2000)] == ["0 stages", "1 stage", "2,000 stages"]


def test_markdown_shows_a_name_as_it_is() -> None:
    assert literal("a|b*c_d\n<e>") == r"a\|b\*c\_d \<e\>"


def test_every_dataset_is_called_by_its_name_and_has_its_rights(tmp_path: Path) -> None:
    names = get_args(Dataset.model_fields["name"].annotation)
    assert set(RIGHTS) == set(names)
    for name in set(names) - {"folder"}:
        own = {"size": NATIVE.get(name, 32), **(FACES if name == "kaokore" else {})}
        assert subject(parse({**DATASET, "name": name, **own}, Dataset, PARAMS)) not in ("images of ", "None")
    faces = {**DATASET, "name": "kaokore", **FACES}
    assert subject(parse(faces, Dataset, PARAMS)) == "faces of KaoKore 1.2 (status, official split)"
    part = faces | {"root": "my/faces", "published": False}
    assert subject(parse(part, Dataset, PARAMS)) == "faces of KaoKore 1.2 (status, official split) from faces"
    folder = parse({**DATASET, "name": "folder", "root": "my/pictures"}, Dataset, PARAMS)
    assert subject(folder) == "images of pictures"
    assert "3,500 images of CIFAR-10" in told(tmp_path, dataset__name="cifar10")
    own = {"dataset__name": "cifar10", "dataset__root": "data/part.tar.gz", "dataset__published": False}
    assert "3,500 images of CIFAR-10 from part.tar.gz" in told(tmp_path, **own)
