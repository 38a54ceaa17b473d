"""Every benchmark, one after the other, into metrics/benchmarks.json: `make bench`."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from impasto.io import write_json

NAMES = ("trivial_augment", "stylise", "frechet_curve", "epoch", "select_pool")

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    found: dict[str, object] = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    for name in sys.argv[1:] or NAMES:
        found[name] = importlib.import_module(name).measure()
        print(name, found[name], flush=True)
    write_json(Path("metrics/benchmarks.json"), found)
