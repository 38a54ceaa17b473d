"""The strip of one image as a picture of its own, for a README or a slide."""

from __future__ import annotations

from io import BytesIO

from impasto.report.strip import Strip

SIDE = 1.15  # inches of a panel
RIGHT, WRONG = "#2f7d4f", "#b8482e"


def strip_png(strip: Strip) -> bytes:
    """Panels side by side on white, what was done above, the model's verdict below; PNG."""
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", {"font.family": "DejaVu Sans", "font.size": 8}]):
        figure = Figure(figsize=(SIDE * len(strip.panels), SIDE + 0.75), layout="constrained", facecolor="white")
        for axes, panel in zip(figure.subplots(1, len(strip.panels), squeeze=False)[0], strip.panels, strict=True):
            axes.imshow(panel.pixels, interpolation="nearest")
            axes.set_title(panel.title.replace(", ", ",\n").replace(" noise", "\nnoise"), fontsize=8)
            axes.set(xticks=[], yticks=[])
            verdict = f"{panel.verdict}  {100 * panel.confidence:.0f} %"
            axes.set_xlabel(verdict, color=RIGHT if panel.right else WRONG, weight="bold")
            for spine in axes.spines.values():
                spine.set_visible(False)
        file = BytesIO()
        figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
    return file.getvalue()
