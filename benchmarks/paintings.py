"""Run the experiments on ST-SACLF (arXiv 2408.01827) as DVC experiments and judge its claims: `make paintings`.

All stand on the preset image-folder: EfficientNet-Lite0 with ImageNet weights, whose head alone is trained. The
training split is thinned out to a long tail of 10 : 1, and copies fill up every class to the largest; what is not so in
an arm stands in ``ARMS``. An epoch is as long as there are originals, whatever the copies: all arms take as many steps.

The pictures are class folders in data/official/paintings, or in the folder that PAINTINGS_ROOT names. PAINTINGS_BASE,
PAINTINGS_SEEDS (two at least) and PAINTINGS_WORKERS are as in ablation.py; PAINTINGS_ARMS (comma-separated) runs some
arms, and what the others are needed for stands as not run. Everything goes to metrics/paintings.json; `make docs` puts
it into docs/paintings.md.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from pathlib import Path
from typing import Any

from experiments import base, hardware, options, parameters, read, run, shown, title
from impasto.config.presets import Presets
from impasto.io import write_json
from impasto.metrics import over_seeds
from painted_claims import GRID_P1, GRID_P2, SCORES, cell, judge

OUT = Path("metrics/paintings.json")
PRESET, FOLDER = "image-folder", "data/official/paintings"
SEEDS = range(int(os.environ.get("PAINTINGS_SEEDS", "5")))
WORKERS = os.environ.get("PAINTINGS_WORKERS", "2")
STAGES = ("train", "finetune", "evaluate")
PROTOCOL: dict[str, Any] = {
    "dataset.imbalance": 10.0, "balance.p1": "fill", "balance.p2": "fill", "augment.flip": False, "augment.crop": 0,
    "train.class_balance": 0.0, "finetune.stages": [], "evaluate.c_bar": [], "evaluate.severities": [3],
    "evaluate.bootstrap": 100,
    "evaluate.corruptions": [
        "gaussian_noise", "impulse_noise", "defocus_blur", "motion_blur", "fog", "brightness", "pixelate",
        "jpeg_compression",
    ],
}  # fmt: skip
UNFREEZING = [
    {"open": blocks, "epochs": 1, "learning_rate": rate, "batch_norm": "frozen"}
    for blocks, rate in ((4, 0.0003), (6, 0.0001), (8, 0.0001))
]
#: Copies of a quarter of the images: few enough to choose among them.
QUARTER = {"balance.p1": 0.25, "balance.p2": 0.25, "finetune.stages": UNFREEZING}
ARMS: dict[str, dict[str, Any]] = {
    "originals": {"balance.p1": 0.0, "balance.p2": 0.0},
    "duplicates": {"balance.copy": "duplicate"},
    "rules": {"balance.copy": "rules", "augment.trivial": True},
    "reconstruction": {"balance.copy": "reconstruction"},
    "class": {},
    "any": {"balance.styles": "any"},
    "external": {"balance.styles": "any", "style.bank": "procedural", "style.count": 400},
    **{cell(p1, p2): {"balance.p1": p1 / 100, "balance.p2": p2 / 100} for p1 in GRID_P1 for p2 in GRID_P2 if p1 or p2},
    **{f"attention-{name}": {"model.attention": name} for name in ("dot", "tanh_additive", "sigmoid", "gap")},
    "once": QUARTER | {"finetune.copies": "kept"},
    "redrawn": QUARTER | {"finetune.copies": "random"},
    "hardest": QUARTER | {"finetune.copies": "hardest"},
}


def main() -> None:
    """Queue what is missing, run it, and write scores and verdicts."""
    wanted = os.environ.get("PAINTINGS_ARMS", ",".join(ARMS)).split(",")
    if unknown := [arm for arm in wanted if arm not in ARMS]:
        sys.exit(f"error: PAINTINGS_ARMS has {', '.join(unknown)}; there are {', '.join(ARMS)}")
    head = base("PAINTINGS_BASE")
    found = run(queue(wanted), head, WORKERS)
    write_json(OUT, tabulate({arm: found[named(arm)] for arm in wanted}, head))


def queue(arms: list[str]) -> dict[str, list[str]]:
    """Experiment -> its options and the stage that it ends with; ends where there are no pictures."""
    root = os.environ.get("PAINTINGS_ROOT", FOLDER)
    if not Path(root).is_dir():
        sys.exit(f"error: {root} is no folder; put class folders of pictures there, or name one with PAINTINGS_ROOT")
    return {named(arm): [*options(settings(arm, str(Path(root).resolve()))), "evaluate"] for arm in arms}


def named(arm: str) -> str:
    """The experiment of an arm."""
    return title("paintings", arm, SEEDS)


def settings(arm: str, root: str) -> dict[str, Any]:
    """The leaves of an arm; an absolute root, since a queued experiment runs in a folder of its own."""
    leaves = Presets(Path("presets")).compose([PRESET]).leaves
    return leaves | PROTOCOL | ARMS[arm] | {"dataset.root": root, "seeds": list(SEEDS)}


def tabulate(revisions: dict[str, str], head: str) -> dict[str, Any]:
    """Scores of every arm with their spread, core-minutes, verdicts, and how all was made.

    Args:
        revisions: arm -> revision of its experiment.
        head: the commit on which the experiments stand.
    """
    first = next(iter(revisions.values()))
    facts, used = read(first, "metrics/evaluate.json"), parameters(first)
    scores = {arm: by_seed(read(one, "metrics/evaluate.json"), groups(one)) for arm, one in revisions.items()}
    return {
        "n": facts["n"],
        "classes": facts["classes"],
        "seeds": list(SEEDS),
        "imbalance": used["dataset"]["imbalance"],
        "size": used["dataset"]["size"],
        "corruptions": facts["sets"]["C"],
        "severities": facts["severities"],
        "revision": head,
        "hardware": hardware(read(first, "metrics/time/train.json")),
        "arms": {arm: row(found, minutes(revisions[arm])) for arm, found in scores.items()},
        "claims": judge({"arms": scores}),
    }


def by_seed(scores: dict[str, Any], recall: dict[str, dict[str, float]]) -> dict[str, list[float]]:
    """The scores of the models after all stages, in the order of the seeds.

    Args:
        scores: an experiment's metrics/evaluate.json.
        recall: seed -> recall of ``minority`` and ``majority``.
    """
    seeds = scores["tuned"]["seeds"]
    return {name: [(seeds[str(s)] | recall[str(s)])[name] for s in SEEDS] for name in SCORES}


def groups(revision: str) -> dict[str, dict[str, float]]:
    """Seed -> recall of the majority and of the minority, from an experiment's metrics/classes.csv."""
    found: dict[str, dict[str, float]] = {}
    for line in csv.DictReader(io.StringIO(shown(revision, "metrics/classes.csv"))):
        kind, _, seed = line["model"].partition("-")
        if kind == "tuned" and line["class"] in ("minority", "majority"):
            found.setdefault(seed, {})[line["class"]] = float(line["recall"])
    return found


def minutes(revision: str) -> float:
    """Core-minutes of the stages that an arm has for itself, all seeds."""
    spent = sum(read(revision, f"metrics/time/{stage}.json")["cpu_seconds"] for stage in STAGES)
    return round(float(spent) / 60, 2)


def row(scores: dict[str, list[float]], core_minutes: float) -> dict[str, Any]:
    """Mean, spread and single values of each score."""
    found: dict[str, Any] = {"core_minutes": core_minutes}
    for name, values in scores.items():
        one = over_seeds(values)
        found |= {name: one.mean, f"{name}_std": one.std, f"{name}_seeds": values}
    return found


if __name__ == "__main__":
    main()
