"""The tables of arms: scores over seeds, and differences paired by seed."""

from __future__ import annotations

from typing import Any

import words
from words import percent, span

LABELS = {
    "baseline": "baseline", "ta": "TA", "nst": "NST", "nst-ta": "NST + TA", "syn": "SYN", "syn-ta": "SYN + TA",
    "syn-nst": "SYN + NST", "syn-nst-ta": "SYN + NST + TA", "colour-ta": "colours + TA (control)",
    "syn-quarter": "SYN, a quarter", "syn-nst-ta-quarter": "SYN, a quarter, + NST + TA",
}  # fmt: skip
TABLES = {"cifar": "CIFAR-C", "tin": "TinyImageNet-C", "imagenet": "ImageNet-C, harder than CIFAR-C above"}


#: The arms of benchmarks/differences.py.
CODE = {
    "text": "as the text says", "groups": "`groups`: one alpha for 50 images, an exact number of them",
    "left_out": "`left_out`: 5 % only resampled", "aliased": "`aliased`: shrunk without antialiasing",
    "code": "all three, `true`",
}  # fmt: skip


def ablation() -> str:
    """The arms, and the paired differences that answer a question."""
    table = words.load("ablation.json")
    rows = ["| arm | clean | C | core-minutes per seed |", "|---|---|---|---|"]
    rows += [f"| {LABELS[arm]} | {scores(row)} | {row['core_minutes']} |" for arm, row in table["arms"].items()]
    rows += ["", "| difference, paired by seed | clean | C |", "|---|---|---|"]
    rows += [f"| ({LABELS[pair['arm']]}) − ({LABELS[pair['reference']]}) | {gains(pair)} |" for pair in table["pairs"]]
    return "\n".join(rows) + f"\n\n{protocol(table)}"


def differences() -> str:
    """What each difference between the paper's text and its code comes to."""
    if not (words.ROOT / "metrics" / "differences.json").exists():
        return "Not measured yet: `make differences`."
    table = words.load("differences.json")
    pairs = {pair["arm"]: gains(pair) for pair in table["pairs"]} | {"text": " | "}
    rows = ["| | clean | C | clean, over the text | C, over the text | distance |", "|---|---|---|---|---|---|"]
    rows += [
        f"| {CODE[arm]} | {scores(row)} | {pairs[arm]} | {row['distance']:,.0f} |" for arm, row in table["arms"].items()
    ]
    (extractor,) = {row["extractor"] for row in table["arms"].values()}
    return "\n".join(rows) + (
        f"\n\n{protocol(table)} The distance is the Fréchet distance at lambda_s = 1 by {extractor}. Clamping is no "
        "arm: the decoder that is fitted here ends in a sigmoid, and leaves nothing to clamp."
    )


def scores(row: dict[str, float]) -> str:
    """Clean and robust accuracy of an arm, two cells."""
    return " | ".join(f"{percent(row[name])} ± {percent(row[f'{name}_std'])}" for name in ("clean", "C"))


def gains(pair: dict[str, Any]) -> str:
    """Clean and robust accuracy of a difference, two cells."""
    return " | ".join(f"{100 * pair[n]['mean']:+.1f} {span(pair[n]['interval'], sign=True)}" for n in ("clean", "C"))


def protocol(table: dict[str, Any]) -> str:
    """How the arms were run and what their numbers are."""
    return (
        f"Accuracy in %, mean ± standard deviation over {len(table['seeds'])} seeds; in brackets the 95 % interval "
        f"of the paired difference (Student t). C is that of {len(table['corruptions'])} corruptions of -C, at "
        f"severities {', '.join(map(str, table['severities']))} of {TABLES[table['table']]}. "
        f"{table['n']:,} test images, {table['hardware']}, revision {table['revision'][:7]}."
    )
