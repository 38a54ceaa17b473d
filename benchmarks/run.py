"""Every benchmark in a process of its own, into metrics/benchmarks.json: `make bench`, or name some of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from impasto.io import read_json, write_json

NAMES = (
    "trivial_augment",
    "pnorm_noise",
    "stylise",
    "frechet_curve",
    "epoch",
    "select_pool",
    "corruptions",
    "cbar",
    "evaluate",
)
OUT = Path("metrics/benchmarks.json")


def measure(name: str) -> dict[str, object]:
    """What ``measure()`` of one benchmark returns: its peak memory would otherwise hold that of the others."""
    code = f"import json, {name}; print(json.dumps({name}.measure()))"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "IMPASTO_QUIET": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, text=True, stdout=subprocess.PIPE)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    results = read_json(OUT) if OUT.exists() else {}
    for name in sys.argv[1:] or NAMES:
        load = round(os.getloadavg()[0], 1)
        results[name] = measure(name) | {"cores": os.cpu_count(), "load_before": load}
        print(name, results[name], flush=True)
        write_json(OUT, results)
