"""Choose the synthetic subset: an index into the pool, never copies of pixels."""

from __future__ import annotations

import numpy as np

from impasto.config.seed import Seed
from impasto.config.synthetic import Synthetic
from impasto.data.images import Images, to_device
from impasto.io import read_npy, write_json, write_npy
from impasto.runtime import device
from impasto.stages.command import PARAMS, In, Out, Params, Stage, command, run, stage
from impasto.synthetic.quota import quotas
from impasto.synthetic.scorer import fit_scorer
from impasto.synthetic.select import Selection, score
from impasto.synthetic.select import select as choose


@command
def select(images: In, split: In, pool: In, out: Out, timing: Out, params: Params = PARAMS) -> None:
    """Write the rows of the subset, their scores and a manifest; an empty subset where there is no pool."""
    with stage("select", params, timing, images=images, split=split, pool=pool) as this:
        chosen = _choose(this, Images.load(pool))
        write_npy(out / "index.npy", chosen.rows)
        write_npy(out / "scores.npy", chosen.scores)
        write_json(out / "manifest.json", chosen.manifest)
        this.run.metrics({"selected": len(chosen.rows)})
        this.run.artifact(out / "manifest.json")


def _choose(this: Stage, pool: Images) -> Selection:
    """The subset, with the classes in the proportions of the training split."""
    config, seed = this.load(Synthetic), this.load(Seed).seed
    if not len(pool):
        return Selection(np.empty(0, np.int64), np.empty(0, np.float32), {"n": 0})
    train = Images.load(this.inputs["images"]).take(read_npy(this.inputs["split"] / "train.npy"))
    quota = quotas(np.bincount(train.labels, minlength=len(train.classes)), config.count)
    scores = None
    if config.keep < 1:
        pixels, labels = to_device(train.pixels, device()), to_device(train.labels, device())
        scorer = fit_scorer(pixels, labels, len(train.classes), seed)
        scores = score(this.inputs["pool"] / "images.npy", pool.labels, scorer, device())
    return choose(pool.labels, scores, quota, config.keep, train.classes, seed)


if __name__ == "__main__":
    run(select)
