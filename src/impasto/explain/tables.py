"""The tables of the stage: which images were listed and compared, one row each, and the means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from impasto.data.images import Images
from impasto.explain.confidence import Answers, Ranked
from impasto.explain.maps import Maps
from impasto.explain.overlap import MEASURES, Compared, summary
from impasto.explain.twins import Twins

RANKED = ("class", "kind", "rank", "image", "file", "confidence", "answer", "answer_confidence")
NULLS = tuple(f"{measure}_null" for measure in MEASURES)
COMPARED = ("image", "file", "class", "style", "alpha", "map", *MEASURES, *NULLS)


def ranked_table(listed: Iterable[Ranked], answers: Answers, test: Images) -> Iterator[dict[str, Any]]:
    """A row for each easy or hard image: ``image`` is its place in the test split, from 0 on, ``file`` its name."""
    for one in listed:
        row, classes = one.row, test.classes
        values = (
            classes[one.label], one.kind, one.rank, row, test.name(row), _number(answers.truth[row]),
            classes[answers.label[row]], _number(answers.confidence[row]),
        )  # fmt: skip
        yield dict(zip(RANKED, values, strict=True))


def compared_table(twins: Twins, test: Images, compared: Compared) -> Iterator[dict[str, Any]]:
    """A row for each image and map; what cannot be compared is empty."""
    for name, measures in compared.items():
        for i, row in enumerate(twins.rows.tolist()):
            true, alpha = test.classes[test.labels[row]], _number(float(twins.alpha[i]))
            first = (row, test.name(row), true, int(twins.styles[i]), alpha, name)
            values = (_number(measures[measure][i]) for measure in (*MEASURES, *NULLS))
            yield dict(zip(COMPARED, (*first, *values), strict=True))


def record(maps: Maps, compared: Compared, **facts: Any) -> dict[str, Any]:
    """Means over images, their spread and number, for each map; ``facts`` are kept beside them."""
    means = {
        name: {"positions": list(maps[name].shape[1:])} | {measure: summary(one) for measure, one in measures.items()}
        for name, measures in compared.items()
    }
    return facts | {"maps": means}


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"
