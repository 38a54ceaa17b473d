"""Run the arms that the paper's claims need as DVC experiments: `make claims`, then `impasto claims`.

Digits: 19 arms of five seeds, some 1.1 core-minutes of training a seed as `make ablation` measured, about 105
core-minutes, besides the evaluations, less the arms that `make ablation` has run on the same commit; and four more
Fréchet curves, each with a generator and styles of its own seed.
The part of CIFAR-10 in presets/cifar10-subset.yaml: three arms without synthetic images, since no generator draws
photographs after minutes on two cores; guessed at 2 to 4 core-minutes a seed, 30 to 60 core-minutes.
CLAIMS_POOL names an .npz file of synthetic images for it; then all 19 arms run there too, but one curve only.

CLAIMS_DATASETS (comma-separated) takes fewer datasets, CLAIMS_SEEDS, CLAIMS_WORKERS and CLAIMS_BASE are as in
ablation.py. Everything goes to metrics/claims_runs.json; datasets that are not run again keep what it holds.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from pathlib import Path
from typing import Any

from experiments import base, hardware, options, parameters, protocol, read, run, shown, title
from impasto.claims import OURS, SHARES, needed
from impasto.config.presets import read_overlay
from impasto.io import read_json, write_json

OUT = Path("metrics/claims_runs.json")
SUBSET = Path("presets/cifar10-subset.yaml")
DATASETS = ("digits", "cifar10-subset")
SEEDS = range(int(os.environ.get("CLAIMS_SEEDS", "5")))
WORKERS = os.environ.get("CLAIMS_WORKERS", "2")
POOL = os.environ.get("CLAIMS_POOL")
#: Arms beyond those with a preset: the preset that each changes, and how.
CHANGED: dict[str, tuple[str, dict[str, Any]]] = {
    **{arm: (OURS, {"lambda_s": share}) for share, arm in SHARES.items() if arm != OURS},
    **{f"{OURS}-a{percent}": (OURS, {"alpha_s": [percent / 100] * 2}) for percent in (20, 60, 100)},
    **{f"{arm}-mix": (arm, {"augment.mixup": 0.5, "augment.cutmix": 0.5}) for arm in (OURS, "nst-ta")},
    **{f"{arm}-re-n": (arm, {"augment.erase": 0.3, "augment.noise": True}) for arm in (OURS, "nst-ta")},
    "syn-nst-originals": ("syn-nst", {"lambda_o": 0.5, "lambda_s": 0.0}),
    "syn-nst-synthetic": ("syn-nst", {"lambda_o": 0.0, "lambda_s": 0.5}),
}


def main() -> None:
    """Run what is missing, dataset by dataset, and write what came out."""
    wanted = os.environ.get("CLAIMS_DATASETS", ",".join(DATASETS)).split(",")
    if unknown := [name for name in wanted if name not in DATASETS]:
        sys.exit(f"error: CLAIMS_DATASETS has {', '.join(unknown)}; there are {', '.join(DATASETS)}")
    head = base("CLAIMS_BASE")
    queues = {name: queue(name) for name in wanted}  # a file that is missing shows before hours are spent
    for dataset, experiments in queues.items():
        revisions = run(experiments, head, WORKERS)
        before = read_json(OUT) if OUT.exists() else {}
        write_json(OUT, before | {dataset: gather(dataset, revisions, head)})


def synthetic(dataset: str) -> bool:
    """Whether a dataset has synthetic images here."""
    return dataset == "digits" or POOL is not None


def queue(dataset: str) -> dict[str, list[str]]:
    """Experiment -> the words that follow its name: one for each arm, and on digits one for each further curve."""
    found = {named(dataset, arm): options(settings(dataset, arm)) for arm in needed(synthetic(dataset))}
    if dataset == "digits":
        found |= {f"{dataset}-curve-{seed}": [*options({"seed": seed}), "fid"] for seed in SEEDS[1:]}
    return found


def named(dataset: str, arm: str) -> str:
    """The experiment of an arm."""
    return title(dataset, arm, SEEDS)


def settings(dataset: str, arm: str) -> dict[str, Any]:
    """The leaves of an arm: the dataset's, its preset's, what it changes, and the protocol.

    A queued experiment runs in a folder of its own, without the files that git ignores: paths are made absolute.
    """
    preset, changes = CHANGED.get(arm, (arm, {}))
    leaves = read_overlay(SUBSET) if dataset == "cifar10-subset" else {}
    if dataset == "cifar10-subset":
        leaves["dataset.root"] = there(leaves["dataset.root"], SUBSET)
    leaves |= read_overlay(Path("presets") / f"arm-{preset}.yaml")
    if dataset == "cifar10-subset" and POOL:
        leaves |= {"synthetic.source": "npz", "synthetic.root": there(POOL, "CLAIMS_POOL")}
    return leaves | changes | protocol(SEEDS)


def there(name: str, told: object) -> str:
    """The absolute path of a file; ends where there is none."""
    if not Path(name).exists():
        sys.exit(f"error: {name}, which {told} names, does not exist; put it there, or set CLAIMS_DATASETS=digits")
    return str(Path(name).resolve())


def gather(dataset: str, revisions: dict[str, str], head: str) -> dict[str, Any]:
    """Scores of every arm by seed, the curves, and how they were made (see :mod:`impasto.claims`)."""
    names = needed(synthetic(dataset))
    scores = {arm: read(revisions[named(dataset, arm)], "metrics/evaluate.json") for arm in names}
    one = scores[names[0]]
    first = revisions[named(dataset, names[0])]
    with_curve = {"0": first} | {
        str(seed): revisions[name] for seed in SEEDS[1:] if (name := f"{dataset}-curve-{seed}") in revisions
    }
    curves = {seed: curve(shown(revision, "metrics/fid.csv")) for seed, revision in with_curve.items()}
    return {
        "arms": {arm: by_seed(found["base"]["seeds"]) for arm, found in scores.items()},
        "corruptions": one["sets"]["C"],
        "curves": {seed: found for seed, found in curves.items() if found["distance"]},
        "hardware": hardware(read(first, "metrics/time/train.json")),
        "n": one["n"],
        "revision": head,
        "seeds": list(SEEDS),
        "severities": one["severities"],
        "synthetic": synthetic(dataset),
        "table": parameters(first)["evaluate"]["table"],
    }


def by_seed(seeds: dict[str, dict[str, float]]) -> dict[str, list[float]]:
    """Clean and robust accuracy in the order of the seeds."""
    return {name: [seeds[str(seed)][name] for seed in SEEDS] for name in ("clean", "C")}


def curve(text: str) -> dict[str, list[float]]:
    """The columns of a metrics/fid.csv."""
    rows = list(csv.DictReader(io.StringIO(text)))
    return {name: [float(row[name]) for row in rows] for name in ("lambda_s", "distance")}


if __name__ == "__main__":
    main()
