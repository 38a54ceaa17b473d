"""All that a report tells of a run, with the words that depend on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from impasto.config.evaluate import Evaluate
from impasto.config.mix import Shares
from impasto.config.schedule import Schedule
from impasto.corruptions.tables import table_for
from impasto.fid.curve import FrechetCurve
from impasto.report.by_class import ByClass
from impasto.report.data import SCORES, SETS, Cost, Curve, Evaluation, Material, realised
from impasto.report.looks import Looks
from impasto.report.recipe import Recipe, architecture, chosen, sentence, subject
from impasto.report.strip import Strip
from impasto.report.summary import summarise
from impasto.report.wording import listed, plural, spaced
from impasto.tracking.siblings import Sibling

BENCHMARKS = {"cifar": "CIFAR-10-C", "tin": "TinyImageNet-C", "imagenet": "ImageNet-C"}
RIGHTS = {
    "digits": "MNIST is by Yann LeCun and Corinna Cortes, after NIST, and is commonly distributed under the licence "
    "CC BY-SA 3.0; these copies are not the originals: they are coloured and padded.",
    "cifar10": "CIFAR-10 is by Alex Krizhevsky, Vinod Nair and Geoffrey Hinton, who state no licence.",
    "cifar100": "CIFAR-100 is by Alex Krizhevsky, Vinod Nair and Geoffrey Hinton, who state no licence.",
    "tiny_imagenet": "TinyImageNet is a part of ImageNet, whose terms allow non-commercial research and teaching.",
    "kaokore": '"KaoKore Dataset" (collected by CODH from multiple organizations), doi:10.20676/00000353, is under the '
    "licence CC BY-SA 4.0. Its authors ask not to pass on data sets that hold its images, stylised ones included: keep "
    "the images of this report to yourself.",
    "folder": "The images were given as a folder. What their licence allows, for them and for a model trained on them, "
    "is for whoever gave them to say.",
}


@dataclass(frozen=True)
class Findings:
    """One run.

    Attributes:
        recipe: the parameters that made it.
        settings: table and seed of the corruptions.
        evaluation: scores on the test split.
        by_class: those of each class.
        looks: where the classifier looks, with and without style.
        train: curve of the training from scratch.
        finetune: curve of the unfreezing.
        frechet: distance of the synthetic images over lambda_s, if there are any.
        costs: of each stage.
        material: the images behind it.
        strip: one image on its way.
        siblings: earlier runs that differ in lambda_s alone.
    """

    recipe: Recipe
    settings: Evaluate
    evaluation: Evaluation
    by_class: ByClass
    looks: Looks
    train: Curve
    finetune: Curve
    frechet: FrechetCurve | None
    costs: list[Cost]
    material: Material
    strip: Strip
    siblings: Sequence[Sibling] = ()

    @property
    def name(self) -> str:
        """The architecture."""
        return architecture(self.recipe.model)

    @property
    def subject(self) -> str:
        """What the images are."""
        return subject(self.recipe.dataset)

    @property
    def sentence(self) -> str:
        """The recipe."""
        return sentence(self.recipe, self.material.training, self.material.styles)

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of model with their headings; without unfreezing there is one."""
        return {"base": "trained", "tuned": "fine-tuned"} if self.recipe.finetune.stages else {"tuned": "trained"}

    @property
    def headings(self) -> dict[str, str]:
        """The scores of this run with their headings."""
        return {name: heading for name, heading in SCORES.items() if name in self.evaluation.scores["tuned"]}

    @property
    def set_names(self) -> dict[str, str]:
        """What the means over corruptions are called."""
        return SETS

    @property
    def members(self) -> str:
        """What enters which mean, and what was measured but enters none."""
        sets = self.evaluation.sets
        parts = [f"{SETS[name]}: {listed(list(map(spaced, members)))}." for name, members in sets.items()]
        alone = [name for name in self.evaluation.corruptions if not any(name in members for members in sets.values())]
        if alone:
            parts.append(f"In none of them: {listed(list(map(spaced, alone)))}.")
        return " ".join(parts)

    @property
    def shown_synthetic(self) -> FrechetCurve | None:
        """The Fréchet curve, if the model was shown any of the images that it is about."""
        return self.frechet if self.recipe.mix.most_synthetic > 0 else None

    @property
    def final(self) -> Shares:
        """The shares asked for in the last epoch of training."""
        return self.recipe.mix.at(self.recipe.train.epochs - 1)

    @property
    def scheduled(self) -> str:
        """What to add where a number is that of the last epoch, and others came before."""
        shares = (getattr(self.recipe.mix, name) for name in Shares._fields)
        return " in the last epoch" if any(isinstance(value, Schedule) for value in shares) else ""

    @cached_property
    def summary(self) -> dict[str, float]:
        """What goes into ``metrics/summary.json``."""
        unequal = any(row.group for row in self.by_class.single)
        return summarise(self.evaluation, self.shown_synthetic, self.train, self.final.lambda_s, unequal)

    @property
    def chosen(self) -> str:
        """What the validation split has chosen, and where fine-tuning came to nothing."""
        told, seeds = chosen(self.recipe), self.evaluation.unchanged
        if not (self.recipe.finetune.stages and seeds):
            return told
        whose = "" if seeds == self.evaluation.seeds else f" of {plural(len(seeds), 'seed')} ({listed(seeds)})"
        return f"{told} Fine-tuning made none better{whose}: there the fine-tuned model is the trained one."

    @property
    def realised(self) -> dict[str, float]:
        """The shares as they came out."""
        return realised(self.train)

    @property
    def benchmark(self) -> str:
        """Whose severity constants the corruptions have."""
        table = self.settings.table
        return BENCHMARKS[table_for(self.material.size) if table == "auto" else table]

    @property
    def intervals(self) -> str:
        """What kind of interval stands beside the scores, and what it covers."""
        seeds = len(self.evaluation.seeds)
        if seeds == 1:
            return (
                f"Intervals: 95\u202f% bootstrap over the {self.evaluation.n:,} test images. They tell how far a score "
                "could move with other test images, not with another seed: this run has one."
            )
        return (
            f"Scores are means over {seeds} seeds; intervals: 95\u202f% Student t of that mean. They tell how far it "
            "could move with other seeds, not with other test images."
        )

    @property
    def corrupted_by(self) -> str:
        """Where the corrupted images come from and what their scores can be compared with."""
        if self.evaluation.source != "generated":
            return f"The corrupted images: {self.evaluation.source}."
        return (
            "The corrupted images are made from these test images by impasto's own code with the severity constants of "
            f"{self.benchmark}. Published {self.benchmark} scores are about other images and cannot be compared."
        )

    @property
    def rights(self) -> str:
        """A note on the licence of the original images."""
        return RIGHTS[self.recipe.dataset.name]
