"""What stands in the two pictures: images, maps, and the words below them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from impasto.data.images import Images
from impasto.explain.confidence import KINDS, Answers, Ranked
from impasto.explain.maps import GRAD_CAM, Maps
from impasto.explain.overlap import Compared
from impasto.explain.sheets import ALONE, RIGHT, WRONG, Looked, Panel, short
from impasto.explain.twins import Twins

Row = tuple[str, list[Panel], list[Panel]]


def ranked_rows(
    listed: Iterable[Ranked], answers: Answers, test: Images, classes: Sequence[int], most: int
) -> list[Row]:
    """For each of the classes its name, its easy and its hard images, the first ``most`` of each."""
    every = [one for one in listed if one.rank <= most]

    def of(label: int, kind: str) -> list[Panel]:
        return [_ranked(one.row, answers, test) for one in every if (one.label, one.kind) == (label, kind)]

    return [(test.classes[label], *(of(label, kind) for kind in KINDS)) for label in classes]  # type: ignore[misc]


def looked_rows(
    twins: Twins,
    test: Images,
    answers: tuple[Answers, Answers],
    maps: tuple[Maps, Maps],
    compared: Compared,
    count: int,
) -> list[tuple[Looked, Looked]]:
    """The first ``count`` images beside their twins.

    Args:
        twins: n images.
        test: the set they are of.
        answers: to the originals and to the twins, n each.
        maps: of both.
        compared: measures of each pair, which stand below the twin's maps.
        count: how many.
    """
    rows = []
    for i in range(min(count, len(twins.rows))):
        told = (
            {name: _highest(name, values[i]) for name, values in maps[0].items()},
            {name: _alike(compared[name], i) for name in maps[1]},
        )
        truth = test.classes[test.labels[twins.rows[i]]]
        pair = [
            Looked(
                pixels=pixels[i].cpu().numpy(),
                truth=truth,
                answer=test.classes[given.label[i]],
                confidence=float(given.confidence[i]),
                maps={name: values[i] for name, values in found.items()},
                words=words,
            )
            for pixels, given, found, words in zip((twins.originals, twins.painted), answers, maps, told, strict=True)
        ]
        rows.append((pair[0], pair[1]))
    return rows


def _ranked(row: int, answers: Answers, test: Images) -> Panel:
    """An image, how sure the classifier is of its class, and the class that it sees instead."""
    label = answers.label[row]
    right = label == test.labels[row]
    words = f"{100 * answers.truth[row]:.1f} %" + ("" if right else f"\n→ {short(test.classes[label], ALONE)}")
    return Panel(np.array(test.pixels[row]).transpose(1, 2, 0), words, RIGHT if right else WRONG)


def _highest(name: str, values: np.ndarray) -> str:
    if name == GRAD_CAM:
        return "" if values.any() else "nothing for it"
    return f"highest {values.max():.3g}"


def _alike(measures: Mapping[str, np.ndarray], i: int) -> str:
    iou, rho = (measures[name][i] for name in ("iou", "spearman"))
    return "not comparable" if np.isnan(iou) else f"IoU {iou:.2f}  ρ {rho:z.2f}"
