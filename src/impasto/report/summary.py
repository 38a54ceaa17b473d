"""The few numbers that stand for a run: what ``dvc metrics`` and the experiment table show."""

from __future__ import annotations

import numpy as np

from impasto.fid.curve import FrechetCurve
from impasto.report.data import Curve, Evaluation, realised


def summarise(
    evaluation: Evaluation, curve: FrechetCurve | None, train: Curve, lambda_s: float, unequal: bool
) -> dict[str, float]:
    """Accuracy of the fine-tuned model (means over seeds), the Fréchet distance and the realised shares.

    Args:
        evaluation: the scores.
        curve: of the synthetic images that the model was shown; None leaves the distance out.
        train: training curves, whose last epoch tells the shares.
        lambda_s: where on the curve the run is.
        unequal: whether classes are rare; then the mean recall of all and the lowest one are told too.
    """
    tuned = evaluation.scores["tuned"]
    wanted = ("clean", "C", "C_bar", *(("balanced", "worst_class_recall") if unequal else ()))
    names = [name for name in wanted if name in tuned]
    accuracy = {name: tuned[name].value for name in names}
    distance = {f"fd_{curve.extractor}": distance_at(curve, lambda_s)} if curve else {}
    return {**accuracy, **distance, **realised(train)}


def distance_at(curve: FrechetCurve, lambda_s: float) -> float:
    """The distance at any lambda_s, linear between the points of the curve."""
    return float(np.interp(lambda_s, curve.points, curve.values))
