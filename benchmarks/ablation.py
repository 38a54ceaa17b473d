"""Run the arms of the ablation as DVC experiments and tabulate them: `make ablation`.

Every arm is queued as an experiment named `digits-ARM-5-seeds`; two workers run the queue. Arms that an earlier
call, or `make claims`, finished on the same commit are not run again; ABLATION_BASE names another commit. The table
goes to metrics/ablation.json and metrics/ablation.csv; `make docs` puts it into the README.
"""

from __future__ import annotations

import os
from pathlib import Path

from arms import tabulate
from experiments import base, options, protocol, run, title
from impasto.config.presets import read_overlay
from impasto.io import write_csv, write_json

ARMS = (
    "baseline", "ta", "nst", "nst-ta", "syn", "syn-ta", "syn-nst", "syn-nst-ta", "colour-ta", "syn-quarter",
    "syn-nst-ta-quarter",
)  # fmt: skip
#: (arm, reference): differences that answer a question, paired by seed.
PAIRS = (
    ("ta", "baseline"), ("nst", "baseline"), ("syn", "baseline"), ("nst-ta", "ta"), ("syn-ta", "ta"),
    ("syn-nst", "nst"), ("syn-nst-ta", "nst-ta"), ("syn-nst-ta", "ta"), ("nst-ta", "colour-ta"), ("colour-ta", "ta"),
    ("nst-ta", "nst"), ("syn-quarter", "baseline"), ("syn-nst-ta-quarter", "nst-ta"),
)  # fmt: skip
SEEDS = range(int(os.environ.get("ABLATION_SEEDS", "5")))
WORKERS = os.environ.get("ABLATION_WORKERS", "2")
COLUMNS = ("arm", "clean", "clean_std", "C", "C_std", "core_minutes")


def main() -> None:
    """Queue what is missing, run it, and write the table."""
    names = {arm: title("digits", arm, SEEDS) for arm in ARMS}
    found = run({names[arm]: settings(arm) for arm in ARMS}, base("ABLATION_BASE"), WORKERS)
    write({arm: found[name] for arm, name in names.items()})


def settings(arm: str) -> list[str]:
    """The options of an arm: its preset and the protocol."""
    return options(read_overlay(Path("presets") / f"arm-{arm}.yaml") | protocol(SEEDS))


def write(revisions: dict[str, str]) -> None:
    """The table of arms and the paired differences."""
    table = tabulate(revisions, PAIRS, base("ABLATION_BASE"))
    write_json(Path("metrics/ablation.json"), table)
    rows = [{"arm": arm} | {name: row[name] for name in COLUMNS[1:]} for arm, row in table["arms"].items()]
    write_csv(Path("metrics/ablation.csv"), COLUMNS, rows)


if __name__ == "__main__":
    main()
