"""The presets against the paper's Table 8 and its authors' configurations, transcribed anew."""

from __future__ import annotations

from typing import Any

import pytest

from impasto.config.presets import Presets
from tiny import ROOT

PRESETS = Presets(ROOT / "presets")

EVERY_CONVOLUTIONAL = {
    "train.optimizer": "sgd", "train.learning_rate": 0.1, "train.momentum": 0.9, "train.weight_decay": 1e-4,
    "train.batch": 256, "train.epochs": 300, "train.label_smoothing": 0.1, "train.clip": 1.0, "train.consistency": 0,
    "train.period": 20, "train.period_factor": 2, "train.precision": "auto",  # restarts at 20, 60 and 140
    "train.averaging.start": 0.9, "train.averaging.learning_rate": 0.02, "train.averaging.anneal": 5,
    "seeds": [0, 1, 2], "augment.flip": True, "alpha_o": [1.0, 1.0], "alpha_s": [0.1, 1.0], "combine_o": "and",
    "synthetic.count": 1_000_000, "synthetic.keep": 1.0, "style.refresh": 1.0, "style.faithful": False,
    "finetune.stages": [], "balance.strength": 0.0, "dataset.validation": 0.01, "dataset.published": True,
    "evaluate.corrupted": "official", "evaluate.corruptions": ["c"], "evaluate.severities": [1, 2, 3, 4, 5],
    "fid.extractor": "inception_v3", "fid.points": 11,
}  # fmt: skip
DATASETS = {
    "cifar10": {"dataset.name": "cifar10", "dataset.size": 32, "augment.crop": 4, "fid.n": 50_000,
                "evaluate.root": "data/official/CIFAR-10-C", "evaluate.table": "cifar"},
    "cifar100": {"dataset.name": "cifar100", "dataset.size": 32, "augment.crop": 4, "fid.n": 50_000,
                 "evaluate.root": "data/official/CIFAR-100-C", "evaluate.table": "cifar"},
    "tiny-imagenet": {"dataset.name": "tiny_imagenet", "dataset.size": 64, "augment.crop": 8, "fid.n": 100_000,
                      "evaluate.root": "data/official/Tiny-ImageNet-C", "evaluate.table": "tin"},
}  # fmt: skip
NETWORKS = {  # name, depth, width, dropout, activation; strides at 32 and at 64 px
    "wrn": ("wrn", 28, 4, 0.2, "silu", (1, 1), (1, 2)),
    "densenet": ("densenet", 201, 12, None, "relu", (1, None), (2, None)),
    "resnext": ("resnext", 29, 4, None, "relu", (None, 1), (None, 2)),
}
OURS = {  # lambda, lambda_o, lambda_s, TA on stylised synthetic images
    "cifar10": (0.5, 0.1, 0.5, "or"),
    "cifar100": (0.5, 0.1, 0.5, "or"),
    "tiny-imagenet": (0.6, 0.2, 0.2, "and"),
}
OFF = {
    "lambda": 0.0, "lambda_o": 0.0, "lambda_s": 0.0, "augment.trivial": False, "augment.augmix": "none",
    "augment.erase": 0.0, "augment.noise": False, "augment.feature_noise": "none", "augment.mixup": 0.0,
    "augment.cutmix": 0.0, "augment.deepaugment.share": 0.0, "synthetic.source": "none",
}  # fmt: skip
METHODS: dict[str, dict[str, Any]] = {
    "ta": {"augment.trivial": True},
    "re": {"augment.erase": 0.3},
    "n": {"augment.noise": True},
    "augmix": {"augment.augmix": "all"},
    "deepaugment": {"augment.deepaugment.share": 0.5, "augment.deepaugment.size": 224},
    "mu-cm": {"augment.mixup": 0.5, "augment.cutmix": 0.5},
    "fn": {"augment.feature_noise": "siedel"},
    "jsd": {"train.consistency": 12.0},
    "noisymix": {
        "augment.augmix": "noisymix", "augment.mixup": 1.0, "augment.cutmix": 0.0, "augment.feature_noise": "noisymix",
        "train.batch": 128, "train.weight_decay": 5e-4, "train.label_smoothing": 0.0, "train.consistency": 12.0,
        "train.period": 300, "train.period_factor": 1, "train.averaging.start": 1.0, "train.precision": "fp32",
        "train.learning_rate": 0.1, "model.dropout": 0.1, "model.activation": "relu", "seeds": [0, 1, 2],
        "train.clip": 1e6,  # none
    },
    "epochs-600": {"train.epochs": 600, "train.period": 40, "train.period_factor": 2},
    "noisymix epochs-600": {"train.epochs": 600, "train.period": 600, "train.period_factor": 1, "train.batch": 128},
    "tuning": {"dataset.validation": 0.2, "seeds": [0, 1, 2, 3, 4]},
    "nst": {
        "style.method": "adain", "style.bank": "published", "style.root": None, "style.count": 1000,
        "style.encoder": "vgg19", "style.upscale": 224, "style.decoder.source": "published", "synthetic.source": "none",
    },
}  # fmt: skip


def leaves(words: str) -> dict[str, Any]:
    return PRESETS.compose(words.split()).leaves


def part(words: str, like: dict[str, Any]) -> dict[str, Any]:
    found = leaves(words)
    return {leaf: found[leaf] for leaf in like}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_a_baseline(dataset: str, network: str) -> None:
    name, depth, width, dropout, activation, small, large = NETWORKS[network]
    stem, stage = large if dataset == "tiny-imagenet" else small
    model = {"name": name, "depth": depth, "width": width, "dropout": dropout, "activation": activation,
             "stem_stride": stem, "stage_stride": stage, "timm": None, "weights": None}  # fmt: skip
    wanted = EVERY_CONVOLUTIONAL | DATASETS[dataset] | {f"model.{leaf}": value for leaf, value in model.items()} | OFF
    assert part(f"{dataset} {network}", wanted) == wanted


@pytest.mark.parametrize("words", METHODS)
def test_a_method_changes_its_leaves_and_no_other_hyper_parameter(words: str) -> None:
    wanted = EVERY_CONVOLUTIONAL | OFF | METHODS[words]
    if "nst" in words:
        wanted |= {"lambda_o": 0.1, "lambda_s": 0.5}
    elif "noisymix epochs" in words:
        wanted |= METHODS["noisymix"] | METHODS[words]
    assert part(f"cifar10 wrn {words}", wanted) == wanted


@pytest.mark.parametrize("dataset", DATASETS)
def test_ours(dataset: str) -> None:
    lambda_, originals, synthetic, combine = OURS[dataset]
    wanted = EVERY_CONVOLUTIONAL | DATASETS[dataset] | METHODS["nst"] | METHODS["ta"] | {
        "lambda": lambda_, "lambda_o": originals, "lambda_s": synthetic, "combine_o": "and", "combine_s": combine,
        "synthetic.source": "npz", "synthetic.root": f"edm-{dataset}",
    }  # fmt: skip
    for words in (f"{dataset} wrn syn nst ta", f"table2-{dataset}-ours"):
        assert part(words, wanted) == wanted


def test_the_vision_transformer() -> None:
    wanted = EVERY_CONVOLUTIONAL | DATASETS["tiny-imagenet"] | OFF | {
        "model.name": "timm", "model.timm": "vit_base_patch16_224", "model.weights": "torchvision-vit-b-16",
        "model.depth": None, "model.width": None, "model.dropout": None, "model.activation": None,
        "model.stem_stride": None, "model.stage_stride": None, "model.head_momentum": None,
        "train.optimizer": "adamw", "train.learning_rate": 1e-4, "train.weight_decay": 0.05, "train.epochs": 20,
        "train.period": 20, "train.period_factor": 1, "train.averaging.start": 0.7,
        "train.averaging.learning_rate": 2e-5, "seeds": [0],
    }  # fmt: skip
    assert part("table5-tiny-imagenet-vit-baseline", wanted) == wanted


def test_faithful() -> None:
    wanted = {"style.faithful": True, "model.head_momentum": 0.9}
    assert part("cifar10 wrn syn nst ta faithful", wanted) == wanted
    assert leaves("cifar10 wrn syn nst ta")["model.head_momentum"] == 0.1


@pytest.mark.parametrize(
    ("row", "layers"),
    [
        ("nfm-ta", "ta re n mu-cm fn"), ("augmix-deepaugment", "augmix deepaugment"), ("re-n", "re n"),
        ("ta-re-n", "ta re n"), ("ours-re-n", "syn nst ta re n"), ("ours-re-n-fn", "syn nst ta re n fn"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dataset", DATASETS)
def test_rows_are_their_methods(dataset: str, row: str, layers: str) -> None:
    assert leaves(f"table2-{dataset}-{row}") == leaves(f"{dataset} wrn {layers}")


@pytest.mark.parametrize(
    ("row", "lambda_", "originals", "synthetic"),
    [
        ("table3-cifar100-syn-nst", 0.3, 0.2, 0.4),
        ("table3-tiny-imagenet-syn-nst", 0.5, 0.3, 0.4),
        ("table5-tiny-imagenet-vit-ours", 0.5, 0.3, 0.4),
        ("table3-tiny-imagenet-nst-ta", 0.0, 0.2, 0.2),
        ("table6-cifar100-ours-re-n-fn", 0.5, 0.1, 0.5),
        ("table6-tiny-imagenet-ours", 0.6, 0.2, 0.2),
    ],
)
def test_shares_of_single_rows(row: str, lambda_: float, originals: float, synthetic: float) -> None:
    wanted = {"lambda": lambda_, "lambda_o": originals, "lambda_s": synthetic}
    assert part(row, wanted) == wanted
