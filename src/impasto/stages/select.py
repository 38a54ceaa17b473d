"""Choose the synthetic subset: an index into the pool, never copies of pixels."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from impasto.config.seed import Seed
from impasto.config.synthetic import Synthetic
from impasto.data.images import Images, to_device
from impasto.io import read_json, read_npy, write_json, write_npy
from impasto.runtime import device
from impasto.stages.command import PARAMS, In, Out, Params, Stage, command, run, stage
from impasto.synthetic.order import agreement, check_order, sample_rows
from impasto.synthetic.quota import quotas
from impasto.synthetic.scorer import fit_scorer
from impasto.synthetic.select import Scored, Selection, score
from impasto.synthetic.select import select as choose


@command
def select(images: In, split: In, pool: In, out: Out, timing: Out, params: Params = PARAMS) -> None:
    """Write the rows of the subset, their scores and a manifest; an empty subset where there is no pool."""
    with stage("select", params, timing, images=images, split=split, pool=pool) as this:
        chosen = _choose(this, Images.load(pool))
        write_npy(out / "index.npy", chosen.rows)
        write_npy(out / "scores.npy", chosen.scores)
        write_json(out / "manifest.json", chosen.manifest | _identity(out / "index.npy", pool))
        this.run.metrics({"selected": len(chosen.rows)})
        this.run.artifact(out / "manifest.json")


def _choose(this: Stage, pool: Images) -> Selection:
    """The subset, with the classes in the proportions of the training split."""
    config, seed = this.load(Synthetic), this.load(Seed).seed
    if not len(pool):
        return Selection(np.empty(0, np.int64), np.empty(0, np.float32), {"n": 0})
    train = Images.load(this.inputs["images"]).take(read_npy(this.inputs["split"] / "train.npy"))
    quota = quotas(np.bincount(train.labels, minlength=len(train.classes)), config.count)
    scored, seen = _score(this, config, pool, train, seed)
    found = choose(
        pool.labels, scored.scores if scored else None, quota, config.keep, train.classes, seed,
        config.coverage, scored.features if scored else None, device(),
    )  # fmt: skip
    return Selection(found.rows, found.scores, found.manifest | seen)


def _score(
    this: Stage, config: Synthetic, pool: Images, train: Images, seed: int
) -> tuple[Scored | None, dict[str, Any]]:
    """What the scorer makes of the pool, None where nothing asks for it, and how far it agrees with the labels.

    An npz file's labels are numbers that may follow another order of the classes, so a sample of them is held
    against the scorer's answers even where nothing is scored; class folders carry names, and the generator learns
    the numbers of the training images.
    """
    whole, numbered = config.keep < 1 or config.coverage > 0, config.source == "npz"
    if not whole and not numbered:
        return None, {}
    pixels, labels = to_device(train.pixels, device()), to_device(train.labels, device())
    scorer = fit_scorer(pixels, labels, len(train.classes), seed)
    rows = None if whole else sample_rows(pool.labels)
    file = this.inputs["pool"] / "images.npy"
    scored = score(file, pool.labels, scorer, device(), rows=rows, features=config.coverage > 0)
    shown = pool.labels if rows is None else pool.labels[rows]
    if numbered:
        check_order(shown, scored.answers, train.classes)
    return scored if whole else None, {"agreement": agreement(shown, scored.answers, train.classes)}


def _identity(index: Path, pool: Path) -> dict[str, Any]:
    """The digest of the index, and the source and digest of the pool whose rows it names."""
    with index.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    meta = read_json(pool / "meta.json")
    return {"index_sha256": sha256, "pool_digest": meta["digest"], "pool_source": meta["source"]}


if __name__ == "__main__":
    run(select)
