"""The tables of what each corruption takes, from metrics/benchmarks.json."""

from __future__ import annotations

from typing import Any

import words
from words import micro, times_as


def speed() -> str:
    """Time of every corruption, and of what it is compared with."""
    found = words.load("benchmarks.json")
    makers = {"corruptions": ("-C", speed_of_c), "cbar": ("-C-bar", speed_of_c_bar)}
    return "\n\n".join(
        make(found[name]) if name in found else f"Times of {label} are not measured yet: `make bench` fills them in."
        for name, (label, make) in makers.items()
    )


def speed_of_c(found: dict[str, Any]) -> str:
    """One row for each corruption of -C."""
    rows = [
        "| -C | impasto, CIFAR's constants | impasto, ImageNet's | imagecorruptions-imaug | ratio | at 224 px |",
        "|---|---|---|---|---|---|",
    ]
    columns = [found[name] for name in ("cifar", "imagenet", "peer")]
    ratios = [found[name] for name in ("ratios", "ratios_224")]
    for name in found["cifar"]:
        cells = [micro(column[name]) for column in columns] + [times_as(column[name]) for column in ratios]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    cells = [micro(sum(column.values())) for column in columns]
    cells += [times_as(found[name]) for name in ("ratio_imagenet", "ratio_224")]
    rows.append(f"| **all** | {' | '.join(f'**{cell}**' for cell in cells)} |")
    return "\n".join(rows) + (
        f"\n\nMicroseconds of CPU time for an image of 32 px, severity 3, one thread, draws included, medians of "
        f"{found['repeats']} rounds that take all ways in turn. impasto gets {found['n']:,} images in a call, "
        "imagecorruptions-imaug one; at 224 px impasto gets eight. The ratios are at ImageNet's constants, "
        "the only ones that imagecorruptions-imaug has."
    )


def speed_of_c_bar(found: dict[str, Any]) -> str:
    """One table for each list of -C-bar."""
    tables = [
        bar_table("-C-bar for CIFAR, 32 px", found["cifar_32"]),
        bar_table("-C-bar for TinyImageNet, 64 px", found["tin_64"]),
    ]
    return "\n\n".join(tables) + (
        "\n\nThe same unit and way of measuring. numpy: plain numpy and scipy on an image at a time. The authors' "
        "loops: their algorithms, pixel by pixel where their generator goes pixel by pixel "
        "([original_cbar.py](../benchmarks/original_cbar.py))."
    )


def bar_table(title: str, found: dict[str, dict[str, float]]) -> str:
    """One row for each corruption, and one column and ratio for each way that was measured."""
    ways = {"numpy": ("numpy", "ratio"), "original": ("the authors' loops", "ratio_original")}
    ways = {way: names for way, names in ways.items() if way in found["total"]}
    rows = [
        f"| {title} | impasto | {' | '.join(f'{label} | ratio' for label, _ in ways.values())} |",
        "|---|---|" + "---|---|" * len(ways),
    ]
    for name, row in sorted(found.items(), key=lambda item: item[0] == "total"):
        cells = [name, micro(1e3 * row["ours"])]
        for way, (_, ratio) in ways.items():
            cells += [micro(1e3 * row[way]), times_as(row[ratio])]
        if name == "total":
            cells = [f"**{cell}**" for cell in ("all", *cells[1:])]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
