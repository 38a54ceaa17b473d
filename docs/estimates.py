"""The table of what the paper presets should take on a GPU, from metrics/estimate.json."""

from __future__ import annotations

from typing import Any

import words

PARTS = ("training", "stylising", "noise2net")


def estimate() -> str:
    """Time and memory of the paper presets on one H100, as counted; rows that cost the same share a line."""
    found = words.load("estimate.json")
    head = [
        "preset", "points", "images x views", "stylised", "distorted", "TFLOP: training, stylising, Noise2Net",
        "GB moved: likewise", "s an epoch: likewise", "h, all epochs and points",
        "GB held: images, training, stylising",
    ]  # fmt: skip
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    alike: dict[str, list[str]] = {}
    for name, one in found["presets"].items():
        alike.setdefault(" | ".join(_cells(one)), []).append(name)
    rows += [f"| {', '.join(names)} | {cells} |" for cells, names in alike.items()]
    a = found["assumed"]
    return "\n".join(rows) + (
        f"\n\nAssumed: an H100 SXM of {a['tflops']} TFLOP/s in half precision and {a['terabytes_per_second']} TB/s, of "
        f"which {100 * a['reached']:.0f} % are reached; the longer of computing and moving counts. A saved activation "
        f"of training is passed over {a['passes']} times, {a['bytes']} bytes a number, and one byte a number of a mask "
        f"of dropout. A GPU stylises {a['chunk']} images at once. Of {a['gigabytes']} GB that are free, images take as "
        "much as a stream may have (a quarter of what is free). A curve's epoch is the mean over its points and, where "
        "shares change, over its epochs."
    )


def _cells(one: dict[str, Any]) -> list[str]:
    shown = f"{one['images']:,}" + (f" x {one['views']}" if one["views"] > 1 else "")
    seconds = " + ".join(str(one[f"{part}_s"]) for part in PARTS)
    return [
        str(one["points"]), shown, f"{one['stylised']:,}", f"{one['distorted']:,}",
        ", ".join(f"{one[f'{part}_tflop']:,.0f}" for part in PARTS),
        ", ".join(f"{one[f'{part}_gb_moved']:,}" for part in PARTS),
        f"{seconds} = {one['epoch_s']}", f"{one['hours_of_run']:,}",
        ", ".join(f"{one[f'memory_{part}_gb']:.1f}" for part in ("images", "training", "stylising")),
    ]  # fmt: skip
