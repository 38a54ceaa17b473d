"""Measure the Fréchet distance of the synthetic images over the whole range of lambda_s."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from impasto.config.dataset import Dataset
from impasto.config.fid import Fid
from impasto.config.mix import Strength
from impasto.config.seed import Seed
from impasto.config.style import Style
from impasto.data.images import Images, Rows
from impasto.fid.curve import (
    FrechetCurve,
    Stylise,
    draw_uniforms,
    grid,
    measure_curve,
    original_distance,
    table_row,
)
from impasto.fid.extractors import Extractor, extractor, feature_moments
from impasto.io import read_json, read_npy, write_csv, write_record
from impasto.kept import Kept
from impasto.ranks import told
from impasto.rng import generator
from impasto.runtime import device, first
from impasto.stages.command import PARAMS, In, Out, Params, Stage, command, run, stage
from impasto.stages.together import together
from impasto.style.stylize import load_painter

BATCH = 250


@command
@together
def fid(
    images: In,
    split: In,
    pool: In,
    synthetic: In,
    style: In,
    out: Out,
    row: Out,
    curve: Out,
    timing: Out,
    params: Params = PARAMS,
) -> None:
    """Write the Fréchet curve, as it is and as a row of Table 1; empty ones where there are no synthetic images."""
    inputs = {"images": images, "split": split, "pool": pool, "synthetic": synthetic, "style": style}
    with stage("fid", params, timing, **inputs) as this:
        found, resume = None, None
        if len(read_npy(synthetic / "index.npy")):
            measure = _extractor(this.load(Fid))
            resume = this.resume("features", measure.identity, measure.resize, divided=True)
            found = _measure(this, measure, Kept(resume))
        if not first():
            return
        rows = (
            [{"lambda_s": p, "distance": v} for p, v in zip(found.points, found.values, strict=True)] if found else []
        )
        write_record(out, asdict(found) if found else {"points": [], "values": []})
        write_record(row, table_row(found, this.load(Dataset).name) if found else {})
        write_csv(curve, ["lambda_s", "distance"], rows)
        for step, point in enumerate(rows):
            this.run.metrics(point, step=step)
        if resume:
            resume.finish()


def _extractor(config: Fid) -> Extractor:
    """The extractor; where its weights are downloaded, one process does it and the others wait."""
    if not first():
        told(None)
    found = extractor(config.extractor, device(), Path(config.weights) if config.weights else None)
    if first():
        told(None)
    return found


def _measure(this: Stage, measure: Extractor, kept: Kept) -> FrechetCurve:
    """The curve of n selected images against the training split, and the distance of held-out original images."""
    config, seed, where = this.load(Fid), this.load(Seed).seed, device()
    originals = Images.load(this.inputs["images"]).pixels
    part = {name: read_npy(this.inputs["split"] / f"{name}.npy") for name in ("train", "validation")}
    reference = feature_moments(measure, Rows(originals, part["train"]), kept=kept)
    held_out = Rows(originals, _some(part["validation"], config.n, seed, "fid-original"))

    pool, index = Images.load(this.inputs["pool"]).pixels, read_npy(this.inputs["synthetic"] / "index.npy")
    images = Rows(pool, _some(index, config.n, seed, "fid-images"))
    uniforms = draw_uniforms(len(images), generator(seed, "fid-uniform"))
    stylise, points = _stylise(this, config.n, seed, where), grid(config.points)
    curve = measure_curve(measure, images, stylise, uniforms, reference, points, BATCH, kept)
    original = original_distance(measure, held_out, reference, kept)
    return replace(curve, original=original, original_n=len(held_out))


def _some(rows: np.ndarray, count: int, seed: int, purpose: str) -> np.ndarray:
    """Up to ``count`` of the rows, drawn at random, in their order."""
    chosen = torch.randperm(len(rows), generator=generator(seed, purpose))[:count].sort().values
    some: np.ndarray = rows[chosen.numpy()]
    return some


def _stylise(this: Stage, count: int, seed: int, where: torch.device) -> Stylise:
    """Paint each of ``count`` images in a style and at a strength of its own."""
    low, high = this.load(Strength).alpha_s
    alpha = low + (high - low) * torch.rand(count, generator=generator(seed, "fid-alpha"))
    painter = load_painter(this.inputs["style"], this.load(Style), where, "fp32")
    styles = torch.randint(
        read_json(this.inputs["style"] / "meta.json")["styles"], (count,), generator=generator(seed, "fid-style")
    )
    return lambda part, rows: painter(part.to(where), styles[rows], alpha[rows])


if __name__ == "__main__":
    run(fid)
