"""The page: one HTML file that holds its style and its pictures and asks the network for nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from impasto.report import wording
from impasto.report.by_class import MEASURES, OVERALL
from impasto.report.figures import Mark, Plot, frechet_plot, training_plots
from impasto.report.findings import Findings

PICTURES = ("samples", "styles", "corrupted", "maps", "easy_hard")
WRITTEN = (
    wording.percent, wording.span, wording.extent, wording.share, wording.decimal, wording.duration, wording.memory,
    wording.listed, wording.ranged, wording.spaced, wording.literal,
)  # fmt: skip
FEW = 20  # classes that are all shown; of more, so many of the worst


def render_page(findings: Findings, plots: Mapping[str, Plot], pictures: Mapping[str, bytes]) -> str:
    """The page as HTML; the same findings give the same text.

    Args:
        findings: what to tell.
        plots: of :func:`draw_plots`.
        pictures: PNG files by name, of ``PICTURES``; those missing are left out.
    """
    environment = templates(autoescape=True)
    environment.filters |= {"uri": data_uri, "png": encode_png}
    values = {"plots": plots, "pictures": pictures, "heat": _heat(findings), "recall": _recall(findings)}
    values |= {"measures": MEASURES, "overall": OVERALL}
    return environment.get_template("report.html.j2").render(run=findings, **values)


def draw_plots(findings: Findings) -> dict[str, Plot]:
    """The figures of the page by name."""
    curve, scores = findings.frechet, findings.evaluation.scores["tuned"]
    others = tuple((other.value, other.metrics["clean"], other.metrics["C"]) for other in findings.siblings)
    place = findings.final.lambda_s
    mark = Mark(place, scores["clean"], scores["C"], others) if findings.shown_synthetic else None
    frechet = {"frechet": frechet_plot(curve, mark)} if curve else {}
    return frechet | training_plots(findings.train, findings.finetune)


def load_pictures(folder: Path) -> dict[str, bytes]:
    """The contact sheets that earlier stages drew."""
    paths = {name: folder / f"{name}.png" for name in PICTURES}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def templates(autoescape: bool) -> Environment:
    """The templates beside this file, with the filters that write numbers."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {function.__name__: function for function in WRITTEN}
    return environment


def data_uri(png: bytes) -> str:
    """A PNG file as an address that holds the file itself."""
    return f"data:image/png;base64,{b64encode(png).decode()}"


def encode_png(pixels: np.ndarray) -> bytes:
    """uint8 [H, W, 3] as a PNG file."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def _heat(findings: Findings) -> dict[str, Any]:
    """Accuracy by corruption and severity, with the range over which the colours run."""
    evaluation = findings.evaluation
    cells = {name: [evaluation.table[name][s] for s in evaluation.severities] for name in evaluation.corruptions}
    values = [value for row in cells.values() for value in row]
    low, high = min(values), max(values)
    rows = [(name, row, sum(row) / len(row)) for name, row in cells.items()]
    return {"rows": rows, "low": low, "high": high, "spread": max(high - low, 1e-9)}


def _recall(findings: Findings) -> dict[str, Any]:
    """Recall per class, before and after unfreezing; of many classes the worst first."""
    recall = findings.evaluation.recall
    rows = [(name, value, recall["base"][name]) for name, value in recall["tuned"].items()]
    many = len(rows) > FEW
    rows = sorted(rows, key=lambda row: row[1]) if many else rows
    return {"rows": rows[:FEW], "rest": rows[FEW:], "many": many}
