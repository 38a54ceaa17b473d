"""Show where the classifier looks, which test images it finds easy and hard, and whether style moves its look."""

from __future__ import annotations

import torch
from torch import nn

from impasto.config.explain import Explain
from impasto.config.mix import Mix
from impasto.config.seed import Seed, Seeds
from impasto.config.style import Style
from impasto.config.train import Train
from impasto.data.images import Images
from impasto.explain.confidence import Answers, answer, ranked, worst
from impasto.explain.maps import look
from impasto.explain.overlap import Compared, summary, with_null
from impasto.explain.panels import looked_rows, ranked_rows
from impasto.explain.sheets import maps_sheet, ranked_sheet, write
from impasto.explain.tables import COMPARED, RANKED, compared_table, ranked_table, record
from impasto.explain.twins import Twins, draw_twins
from impasto.io import read_json, write_csv, write_record
from impasto.models.saved import load_model
from impasto.runtime import device
from impasto.stages.command import PARAMS, In, Out, Params, Stage, command, run, stage
from impasto.style.stylize import load_painter

CLASSES, EACH = 10, 8  # in the picture at most: of more classes the worst, of each the easiest and hardest images


@command
def explain(
    images: In,
    style: In,
    tuned: In,
    out: Out,
    overlap: Out,
    maps: Out,
    easy_hard: Out,
    timing: Out,
    params: Params = PARAMS,
) -> None:
    """Write what the fine-tuned classifier of the lowest seed sees: maps, their overlap under style, easy and hard."""
    with stage("explain", params, timing, images=images, style=style, tuned=tuned) as this:
        config, test, seed = this.load(Explain), Images.load(images), min(this.load(Seeds).seeds)
        model = load_model(tuned / str(seed), device())[0]
        answers = answer(model, test, device(), this.load(Train).precision)
        listed = ranked(answers, test.labels, config.ranked)
        write_csv(out / "easy_hard.csv", RANKED, ranked_table(listed, answers, test))
        most = min(config.ranked, EACH)
        shown = ranked_rows(listed, answers, test, worst(answers, test.labels, CLASSES), most)
        write(easy_hard, ranked_sheet(shown, most))
        twins = _twins(this, test)
        labels = torch.from_numpy(test.labels[twins.rows]).to(device())
        found = look(model, twins.originals, labels), look(model, twins.painted, labels)
        compared = {name: with_null(found[0][name], found[1][name], config.share) for name in found[0]}
        write_csv(out / "overlap.csv", COMPARED, compared_table(twins, test, compared))
        facts = {"n": len(twins.rows), "share": config.share, "seed": seed, "alpha": list(this.load(Mix).alpha_o)}
        write_record(overlap, record(found[0], compared, **facts))
        both = Answers(*(column[twins.rows] for column in answers)), _painted(this, model, twins, test)
        write(maps, maps_sheet(looked_rows(twins, test, both, found, compared, config.shown)))
        _log(this, compared)
        for path in (out / "easy_hard.csv", out / "overlap.csv", maps, easy_hard):
            this.run.artifact(path)


def _twins(this: Stage, test: Images) -> Twins:
    painter = load_painter(this.inputs["style"], this.load(Style), device(), "fp32")
    styles = read_json(this.inputs["style"] / "meta.json")["styles"]
    count, alpha = this.load(Explain).overlap, this.load(Mix).alpha_o
    return draw_twins(test, count, painter, styles, alpha, this.load(Seed).seed, device())


def _painted(this: Stage, model: nn.Module, twins: Twins, test: Images) -> Answers:
    painted = Images(twins.painted.cpu().numpy(), test.labels[twins.rows], test.classes, "stylised twins")
    return answer(model, painted, device(), this.load(Train).precision)


def _log(this: Stage, compared: Compared) -> None:
    """The means; a map of which no pair can be compared has none."""
    each = {f"{name}/{measure}": summary(v)["mean"] for name, m in compared.items() for measure, v in m.items()}
    this.run.metrics({name: mean for name, mean in each.items() if mean is not None})


if __name__ == "__main__":
    run(explain)
