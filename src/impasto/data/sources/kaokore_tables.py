"""KaoKore as it is published: where its lists are, its classes, and how many images each split shows of each.

Y. Tian et al., "KaoKore: A Pre-modern Japanese Art Facial Expression Dataset", ICCC 2020, arXiv:2002.08595. The counts
are those of the files labels.csv and urls.txt of the repository rois-codh/kaokore at commit 2a12178.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LICENCE = "CC BY-SA 4.0"
ATTRIBUTION = '"KaoKore Dataset" (collected by CODH from multiple organizations), doi:10.20676/00000353'
"""As its authors suggest."""

PARTS = ("train", "dev", "test")
"""The values of the column ``set`` of labels.csv."""

GENDERS = ("male", "female")
STATUSES = ("noble", "warrior", "incarnation", "commoner")
CLASSES: dict[str, tuple[str, ...]] = {
    "gender": GENDERS,
    "status": STATUSES,
    "joint": tuple(f"{gender}_{status}" for gender in GENDERS for status in STATUSES),
}
"""By task, in the order of the numbers in labels.csv; joint is 4 gender + status. Not the order of the alphabet."""

Counts = Mapping[str, tuple[int | None, ...]]


@dataclass(frozen=True)
class Kaokore:
    """One version.

    Attributes:
        version: its number.
        addresses: folders on the web that hold labels.csv, urls.txt and original_tags.txt, tried in this order.
        lines: lines of urls.txt; line n, from 0, is the image n.
        images: how many of them have an address.
        unreachable: labelled images without one.
        counts: by task and split, labelled images of each class; None where it is not known.
    """

    version: str
    addresses: tuple[str, ...]
    lines: int
    images: int
    unreachable: int
    counts: Mapping[str, Counts]


def _addresses(commit: str, folder: str) -> tuple[str, ...]:
    """At the commit that added the version, and at the one of the counts: its files did not change in between."""
    root = "https://raw.githubusercontent.com/rois-codh/kaokore"
    return tuple(f"{root}/{at}/{folder}" for at in (commit, "2a12178"))


def _counts(status: tuple[tuple[int, ...], ...], gender: tuple[tuple[int, ...], ...]) -> dict[str, Counts]:
    tables = {"status": status, "gender": gender}
    return {task: dict(zip(PARTS, rows, strict=True)) for task, rows in tables.items()}


VERSIONS = {
    "1.0": Kaokore(
        "1.0", _addresses("39e66d90c490c7ec6d95e8ff3c276533954e7d51", "dataset"), 5824, 5552, 0,
        _counts(((2045, 1288, 432, 473), (260, 165, 55, 53), (250, 166, 48, 63)),
                ((3249, 989), (413, 120), (401, 126))),
    ),
    "1.1": Kaokore(
        "1.1", _addresses("0c55a8321edfa4615e3bf1f63eeb6ead623aa91d", "dataset_v1.1"), 8845, 8573, 40,
        _counts(((3169, 2217, 564, 618), (412, 275, 62, 77), (386, 269, 88, 78)),
                ((5034, 1534), (650, 176), (639, 182))),
    ),
    "1.2": Kaokore(
        "1.2", _addresses("0f609ee976216b61b91ef1c133b82e6fcb2bc792", "dataset_v1.2"), 8848, 8848, 0,
        _counts(((3175, 2298, 644, 639), (433, 278, 63, 71), (384, 300, 84, 77)),
                ((5233, 1523), (652, 193), (659, 186)))
        | {"joint": {"train": (1920, 2232, 583, 498, 1255, 66, 61, 141),
                     "test": (None, None, None, None, None, 9, 6, None)}},
    ),
    "1.3": Kaokore(
        "1.3", _addresses("9e4db44b5d265906ee3c0b1acce252b9f51cf925", "dataset_v1.3"), 9683, 9683, 0,
        _counts(((3641, 2392, 675, 697), (448, 317, 69, 92), (458, 302, 81, 85)),
                ((5707, 1698), (695, 231), (703, 223))),
    ),
}  # fmt: skip
