"""What each way in which the paper's code stylises otherwise than its text is worth here: `make differences`.

Five arms on digits, everything painted anew (`style.refresh: 1`, which groups need): as the text says, each difference
by itself, and all of them (`style.faithful`). Besides accuracy, the Fréchet distance at lambda_s = 1. That the paper's
code never clamps is no arm: the decoder that is fitted here ends in a sigmoid.
DIFFERENCES_BASE, DIFFERENCES_SEEDS and DIFFERENCES_WORKERS are as in ablation.py. Everything goes to
metrics/differences.json; `make docs` puts it into docs/method.md.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

from arms import tabulate
from experiments import base, options, protocol, read, run, title
from impasto.claims import OURS
from impasto.config.presets import read_overlay
from impasto.config.style import Difference
from impasto.io import write_json

ARMS: dict[str, bool | list[str]] = {"text": False, **{name: [name] for name in get_args(Difference)}, "code": True}
PAIRS = tuple((arm, "text") for arm in list(ARMS)[1:])
SEEDS = range(int(os.environ.get("DIFFERENCES_SEEDS", "5")))
WORKERS = os.environ.get("DIFFERENCES_WORKERS", "2")


def main() -> None:
    """Run what is missing and write the table."""
    head = base("DIFFERENCES_BASE")
    names = {arm: title("digits-as", arm, SEEDS) for arm in ARMS}
    found = run({name: settings(arm) for arm, name in names.items()}, head, WORKERS)
    table = tabulate({arm: found[name] for arm, name in names.items()}, PAIRS, head)
    for arm, name in names.items():
        curve = read(found[name], "metrics/fid.json")
        table["arms"][arm] |= {"distance": curve["values"][-1], "extractor": curve["extractor"]}
    write_json(Path("metrics/differences.json"), table)


def settings(arm: str) -> list[str]:
    """The options of an arm: the preset of all three parts, everything painted anew, and the protocol."""
    leaves = read_overlay(Path("presets") / f"arm-{OURS}.yaml") | protocol(SEEDS)
    return options(leaves | {"style.refresh": 1.0, "style.faithful": ARMS[arm]})


if __name__ == "__main__":
    main()
