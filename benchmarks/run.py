"""Every benchmark in a process of its own, into metrics/benchmarks.json: `make bench`, or name some of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from impasto.errors import ImpastoError
from impasto.io import read_json, write_json

NAMES = (
    "trivial_augment",
    "augmix",
    "pnorm_noise",
    "stylise",
    "frechet_curve",
    "epoch",
    "reference_epoch",
    "select_pool",
    "corruptions",
    "cbar",
    "evaluate",
    "processes",
    "tracking",
    "tune",
)
FOLDER = Path(__file__).parent
OUT = Path("metrics/benchmarks.json")


def main(names: Sequence[str]) -> int:
    """Measure the benchmarks of these names, all without any, and put each into ``OUT`` when it is done.

    Returns:
        The exit code: 2, after one line on standard error, for what the user can mend.
    """
    try:
        if unknown := [name for name in names if name not in NAMES]:
            raise ImpastoError(
                f"there is no benchmark {', '.join(unknown)}",
                where="benchmarks/run.py",
                remedy=f"There are {', '.join(NAMES)}.",
            )
        results = read_json(OUT) if OUT.exists() else {}
        for name in names or NAMES:
            load = round(os.getloadavg()[0], 1)
            results[name] = alone(name) | {"cores": os.cpu_count(), "load_before": load}
            print(name, results[name], flush=True)
            write_json(OUT, results)
    except ImpastoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def alone(name: str) -> dict[str, object]:
    """What ``measure()`` of one benchmark returns: its peak memory would otherwise hold that of the others."""
    code = f"import json, {name}; print(json.dumps({name}.measure()))"
    places = os.pathsep.join(filter(None, (str(FOLDER), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": places, "IMPASTO_QUIET": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, text=True, stdout=subprocess.PIPE)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
