"""Fill the generated parts of the documentation from the committed metrics: `make docs`; --check fails when stale.

A part stands between `<!-- NAME -->` and `<!-- /NAME -->`; the function of that name makes it.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from functools import partial

import words
from arm_tables import ablation, differences
from corruption_speeds import speed
from estimates import estimate
from painted import paintings
from results import results
from speeds import benchmarks
from verdicts import claims
from words import ROOT, percent, span

STAGES = ("download", "split", "generate", "select", "style", "fid", "train", "finetune", "evaluate", "explain")


def result() -> str:
    """Scores of the default run, with bootstrap intervals over test images."""
    scores = words.load("evaluate.json")
    rows = ["| | clean | C | C-bar | worst class | calibration error, clean / corrupted |", "|---|---|---|---|---|---|"]
    for kind, label in (("base", "trained"), ("tuned", "fine-tuned")):
        one = next(iter(scores[kind]["seeds"].values()))
        cells = [f"{percent(one[name])} {span(one[f'{name}_interval'])}" for name in ("clean", "C", "C_bar")]
        cells += [f"{percent(one['worst_class_recall'])} (class {one['worst_class']})"]
        rows.append(f"| {label} | {' | '.join(cells)} | {one['ece_clean']:.3f} / {one['ece_corrupted']:.3f} |")
    seeds = ", ".join(scores["base"]["seeds"])
    return "\n".join(rows) + (
        f"\n\nAccuracy in %, on {scores['n']:,} test images, seed {seeds}; in brackets the 95 % bootstrap interval "
        f"over test images. C is the mean over the {len(scores['sets']['C'])} corruptions of -C, C-bar that over "
        f"{len(scores['sets']['C_bar'])} of -C-bar, at severities {', '.join(map(str, scores['severities']))}, made "
        "here with the constants of CIFAR: not a published benchmark."
    )


def times() -> str:
    """Wall time, CPU time and peak memory of each stage of the default run."""
    rows = ["| stage | wall, s | CPU, s | peak memory, MB |", "|---|---|---|---|"]
    costs = {stage: words.load(f"time/{stage}.json") for stage in STAGES}
    rows += [
        f"| {s} | {c['wall_seconds']:.0f} | {c['cpu_seconds']:.0f} | {c['peak_memory_mb']:,} |"
        for s, c in costs.items()
    ]
    wall, cpu = (sum(c[name] for c in costs.values()) for name in ("wall_seconds", "cpu_seconds"))
    rows.append(
        f"| **all** | **{wall:.0f}** | **{cpu:.0f}** | **{max(c['peak_memory_mb'] for c in costs.values()):,}** |"
    )
    one = costs["train"]
    return "\n".join(rows) + (
        f"\n\n{one['cores']} cores, {one['threads']} threads, {one['device']}; "
        "check and report, a few seconds, are left out."
    )


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"result": result, "ablation": ablation, "times": times, "benchmarks": benchmarks},
    "docs/method.md": {"differences": differences},
    "docs/corruptions.md": {"speed": speed},
    "docs/results.md": {"results": results},
    "docs/claims.md": {"claims": claims},
    "docs/paintings.md": {"paintings": paintings},
    "docs/performance.md": {"estimate": estimate},
}


def fill(file: str, text: str) -> str:
    """The text of a file with every part of it made anew."""
    for name, make in PARTS[file].items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, count = re.subn(pattern, partial(_put, make()), text, flags=re.DOTALL)
        if count != 1:
            sys.exit(f"error: {file} has the part {name!r} {count} times, not once")
    return text


def _put(body: str, match: re.Match[str]) -> str:
    return f"{match[1]}{body}\n{match[2]}"


if __name__ == "__main__":
    check = "--check" in sys.argv
    for name, source in {"strip": "strip", "fid": "frechet"}.items():
        picture = ROOT / "report" / f"{source}.png"
        if picture.exists() and not check:
            (ROOT / "docs" / "images").mkdir(exist_ok=True)
            shutil.copy(picture, ROOT / "docs" / "images" / f"{name}.png")
    before = {file: (ROOT / file).read_text(encoding="utf-8") for file in PARTS}
    after = {file: fill(file, text) for file, text in before.items()}
    if check:
        sys.exit(after != before)
    for file, text in after.items():
        (ROOT / file).write_text(text, encoding="utf-8")
