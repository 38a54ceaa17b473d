"""The recipe of a run, in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from impasto.config.augment import Augment
from impasto.config.balance import Balance
from impasto.config.base import Section
from impasto.config.dataset import Dataset
from impasto.config.finetune import Finetune
from impasto.config.mix import Mix
from impasto.config.model import Model
from impasto.config.schedule import Schedule, values
from impasto.config.seed import Seeds
from impasto.config.style import Style
from impasto.config.train import Train
from impasto.report.wording import listed, plural, share

S = TypeVar("S", bound=Section)
_SUBJECTS = {
    "digits": "coloured digits",
    "cifar10": "images of CIFAR-10",
    "cifar100": "images of CIFAR-100",
    "tiny_imagenet": "images of TinyImageNet",
}
_AUGMIX = {
    "all": "AugMix",
    "official": "AugMix of its official operations",
    "noisymix": "AugMix of its official operations and colour",
}

_HEADS = {
    "additive_softmax": "with additive softmax attention",
    "dot": "with dot-product attention",
    "tanh_additive": "with additive tanh attention",
    "sigmoid": "with sigmoid gates",
    "gap": "with several maps pooled",
}


_COPIES = {
    "style": "stylised copies",
    "duplicate": "duplicates",
    "rules": "copies with TrivialAugment",
    "reconstruction": "copies at style strength 0",
}


class Load(Protocol):
    """Reads a section of the parameters."""

    def __call__(self, section: type[S]) -> S:
        """Read it."""
        ...


_BEST = {
    "loss": "the lowest loss",
    "accuracy": "the highest accuracy",
    "balanced_accuracy": "the best balanced accuracy",
}


class Recipe(NamedTuple):
    """The parameters that the sentence and the table of shares tell."""

    seeds: Seeds
    mix: Mix
    dataset: Dataset
    style: Style
    balance: Balance
    augment: Augment
    model: Model
    train: Train
    finetune: Finetune

    @classmethod
    def read(cls, load: Load) -> Recipe:
        """Read every section."""
        return cls(
            seeds=load(Seeds),
            mix=load(Mix),
            dataset=load(Dataset),
            style=load(Style),
            balance=load(Balance),
            augment=load(Augment),
            model=load(Model),
            train=load(Train),
            finetune=load(Finetune),
        )


def sentence(recipe: Recipe, training: int, styles: int) -> str:
    """What was trained on what, and how.

    Args:
        recipe: the parameters.
        training: original training images.
        styles: images in the style bank.
    """
    parts = [
        f"{architecture(recipe.model)} on {training:,} {subject(recipe.dataset)}{_long_tail(recipe.dataset)}",
        _synthetic(recipe.mix),
        _painted(recipe.mix, recipe.style, styles),
        *_balance(recipe.balance),
        *_augmented(recipe.augment),
        *(["consistency of three views"] if recipe.train.consistency else []),
        plural(recipe.train.epochs, "epoch"),
    ]
    stages = len(recipe.finetune.stages)
    if stages:
        parts.append(f"then {plural(stages, 'unfreezing stage')}")
    seeds = recipe.seeds.seeds
    return f"{', '.join(parts)}; {'seed' if len(seeds) == 1 else 'seeds'} {listed(seeds)}."


def chosen(recipe: Recipe) -> str:
    """What the validation split has chosen, in words."""
    stages = {"training": recipe.train.selection.metric}
    if recipe.finetune.stages:
        stages["fine-tuning"] = recipe.finetune.selection.metric
    told = {stage: _BEST[metric] for stage, metric in stages.items() if metric != "none"}
    if not told:
        return "Nothing is chosen by the validation split."
    parts = [f"{best} in {stage}" for stage, best in told.items()]
    return f"The validation split chooses the model, by {' and '.join(parts)}: a curve's last validation point is its."


def architecture(model: Model) -> str:
    """The name of a network as papers write it, e.g. WRN-10-2."""
    names = {"wrn": "WRN-{}-{}", "densenet": "DenseNet-{}-{}", "resnext": "ResNeXt-{}-32x{}d"}
    name = str(model.timm) if model.name == "timm" else names[model.name].format(model.depth, model.width)
    return f"{name} {_HEADS[model.attention]}" if model.attention else name


def subject(dataset: Dataset) -> str:
    """What the images are, in words."""
    place = Path(dataset.root or "").name
    if dataset.name == "kaokore":
        which = f"faces of KaoKore {dataset.version} ({dataset.task}, {dataset.split} split)"
        return which if dataset.published else f"{which} from {place}"
    known = _SUBJECTS.get(dataset.name)
    return (known if dataset.published else f"{known} from {place}") if known else f"images of {place}"


def _long_tail(dataset: Dataset) -> str:
    return f", thinned out to a long tail of {dataset.imbalance:g} to 1" if dataset.imbalance > 1 else ""


def _synthetic(mix: Mix) -> str:
    words: dict[float | Schedule, str] = {
        0.0: "no synthetic images",
        0.5: "half of each batch synthetic",
        1.0: "synthetic images only",
    }
    return words.get(mix.lambda_, f"{share(mix.lambda_)} of each batch synthetic")


def _painted(mix: Mix, style: Style, styles: int) -> str:
    synthetic = values(mix.lambda_)
    chances = {"original": (mix.lambda_o, min(synthetic) < 1), "synthetic": (mix.lambda_s, max(synthetic) > 0)}
    told = {name: chance for name, (chance, there) in chances.items() if there and max(values(chance)) > 0}
    shown = [f"{share(chance)} of {name} images" for name, chance in told.items()]
    if not shown:
        return "none of them stylised"
    verb = "painted with" if style.method == "adain" else "recoloured after"
    kinds = {"procedural": "procedural styles", "training": "styles, the training images'"}
    which = f"one of {styles} {kinds.get(style.bank, 'collected styles')}"
    names = "" if style.faithful is True else f" ({', '.join(style.differences)})"
    form = f" as in the code of Siedel et al.{names}" if style.differences and style.method == "adain" else ""
    return f"{' and '.join(shown)} {verb} {which}{form}"


def _balance(balance: Balance) -> list[str]:
    words = {0.0: [], 1.0: ["classes drawn equally often"]}
    told = words.get(balance.strength, [f"class balance {balance.strength:g}"])
    if not balance.copies:
        return told
    amounts = ["up to the largest" if amount == "fill" else f"{amount:g}" for amount in (balance.p1, balance.p2)]
    own = "".join(f", {one.copies:g} in {one.name}" for one in balance.multipliers)
    return [*told, f"{_COPIES[balance.copy_]} per image: {amounts[0]} in majority, {amounts[1]} in rare classes{own}"]


def _augmented(augment: Augment) -> list[str]:
    """The policy, then whatever else is switched on; flip and crop, which nearly every run has, go without saying."""
    policy = "TrivialAugment" if augment.trivial else _AUGMIX.get(augment.augmix, "no TrivialAugment")
    shares = {
        "{} of images erased in part": augment.erase,
        "{} of each batch through Noise2Net": augment.deepaugment.share,
        "Mixup of {} of batches": augment.mixup,
        "CutMix of {} of batches": augment.cutmix,
    }
    features = {"none": "", "siedel": "feature noise", "noisymix": "NoisyMix's feature noise"}[augment.feature_noise]
    told = [words.format(share(value)) for words, value in shares.items() if value]
    return [policy, *told, *filter(None, ["patched p-norm noise" if augment.noise else "", features])]
