"""Tell what the run has found: a page, a model card, and the few numbers that stand for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from impasto.config.evaluate import Evaluate
from impasto.config.seed import Seed
from impasto.config.style import Style
from impasto.io import atomic, write_json, write_text
from impasto.models.saved import load_model
from impasto.report.by_class import load_by_class
from impasto.report.card import render_card
from impasto.report.data import Evaluation, load_costs, load_curve, load_evaluation, load_frechet, load_material
from impasto.report.findings import Findings
from impasto.report.looks import load_looks
from impasto.report.page import draw_plots, load_pictures, render_page
from impasto.report.panels import strip_png
from impasto.report.recipe import Recipe
from impasto.report.strip import Sources, Strip, make_strip
from impasto.runtime import device
from impasto.stages.command import PARAMS, In, Out, Params, Stage, command, run, stage
from impasto.style.stylize import load_painter


@command
def report(
    images: In,
    split: In,
    pool: In,
    synthetic: In,
    style: In,
    tuned: In,
    evaluation: In,
    corruptions: In,
    classes: In,
    overlap: In,
    fid: In,
    train_curve: In,
    finetune_curve: In,
    pictures: In,
    times: In,
    out: Out,
    metrics: Out,
    params: Params = PARAMS,
) -> None:
    """Write the page, the model card and the summary; nothing is measured anew."""
    sources = Sources(images, split, pool, synthetic, style)
    measured = {"evaluation": evaluation, "corruptions": corruptions, "classes": classes, "overlap": overlap}
    measured |= {"fid": fid, "train_curve": train_curve, "finetune_curve": finetune_curve, "pictures": pictures}
    with stage("report", params, None, **sources._asdict(), tuned=tuned, **measured, times=times) as this:
        scores = load_evaluation(evaluation, corruptions)
        findings = Findings(
            recipe=Recipe.read(this.load),
            settings=this.load(Evaluate),
            evaluation=scores,
            by_class=load_by_class(classes, scores.classes),
            looks=load_looks(overlap),
            train=load_curve(train_curve),
            finetune=load_curve(finetune_curve),
            frechet=load_frechet(fid),
            costs=load_costs(times),
            material=load_material(*sources),
            strip=_strip(this, sources, scores),
            siblings=this.run.siblings("lambda_s"),
        )
        _write(findings, load_pictures(pictures), out)
        write_json(metrics, findings.summary)
        for path in sorted(out.iterdir()):
            this.run.artifact(path, "report")
        this.run.summary(findings.summary)


def _write(findings: Findings, pictures: Mapping[str, bytes], out: Path) -> None:
    plots = draw_plots(findings)
    write_text(out / "index.html", render_page(findings, plots, pictures))
    write_text(out / "model_card.md", render_card(findings))
    drawn = {name: plot.light for name, plot in plots.items()} | {"strip": strip_png(findings.strip)}
    for name, png in drawn.items():
        with atomic(out / f"{name}.png") as part:
            part.write_bytes(png)


def _strip(this: Stage, sources: Sources, scores: Evaluation) -> Strip:
    model, _, _ = load_model(this.inputs["tuned"] / str(scores.seeds[0]), device())
    painter = load_painter(sources.style, this.load(Style), device(), "fp32")
    severity, seed = max(scores.severities), this.load(Seed).seed
    return make_strip(sources, model, painter, this.load(Evaluate), scores.corruptions, severity, seed, device())


if __name__ == "__main__":
    run(report)
