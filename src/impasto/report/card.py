"""The model card: what the model is, how it was made, how well it does and where it must not be trusted."""

from __future__ import annotations

from impasto.report.findings import Findings
from impasto.report.page import templates


def render_card(findings: Findings) -> str:
    """The card as Markdown with the metadata block that the Hugging Face hub reads."""
    return templates(autoescape=False).get_template("model_card.md.j2").render(run=findings)
