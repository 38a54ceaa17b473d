"""Fill the generated parts of README.md from the committed metrics: `make docs`; with --check, fail when stale.

A part stands between `<!-- NAME -->` and `<!-- /NAME -->`; the function of that name makes it.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("download", "split", "generate", "select", "style", "fid", "train", "finetune", "evaluate")
LABELS = {
    "baseline": "baseline", "ta": "TA", "nst": "NST", "nst-ta": "NST + TA", "syn": "SYN", "syn-ta": "SYN + TA",
    "syn-nst": "SYN + NST", "syn-nst-ta": "SYN + NST + TA", "colour-ta": "colours + TA (control)",
    "syn-half": "SYN at one half",
}  # fmt: skip


def load(name: str) -> Any:
    """A committed metrics file."""
    file = ROOT / "metrics" / name
    if not file.exists():
        sys.exit(
            f"error: {file} does not exist. Run `make repro`, `make ablation` or `make bench`, whichever makes it."
        )
    found = json.loads(file.read_text(encoding="utf-8"))
    return found[0] if isinstance(found, list) else found


def result() -> str:
    """Scores of the default run, with bootstrap intervals over test images."""
    scores = load("evaluate.json")
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


def ablation() -> str:
    """The arms, and the paired differences that answer a question."""
    table = load("ablation.json")
    rows = ["| arm | clean | C | minutes per seed |", "|---|---|---|---|"]
    for arm, row in table["arms"].items():
        cells = [f"{percent(row[name])} ± {percent(row[f'{name}_std'])}" for name in ("clean", "C")]
        rows.append(f"| {LABELS[arm]} | {' | '.join(cells)} | {row['minutes']} |")
    rows += ["", "| difference, paired by seed | clean | C |", "|---|---|---|"]
    for pair in table["pairs"]:
        cells = [f"{100 * pair[n]['mean']:+.1f} {span(pair[n]['interval'], sign=True)}" for n in ("clean", "C")]
        rows.append(f"| ({LABELS[pair['arm']]}) − ({LABELS[pair['reference']]}) | {' | '.join(cells)} |")
    return "\n".join(rows) + (
        f"\n\nAccuracy in %, mean ± standard deviation over {len(table['seeds'])} seeds; in brackets the 95 % interval "
        f"of the paired difference (Student t). C at severities {', '.join(map(str, table['severities']))} of "
        f"ImageNet-C, which are harder than those of CIFAR-C above. {table['n']:,} test images, {table['hardware']}."
    )


def times() -> str:
    """Wall time, CPU time and peak memory of each stage of the default run."""
    rows = ["| stage | wall, s | CPU, s | peak memory, MB |", "|---|---|---|---|"]
    costs = {stage: load(f"time/{stage}.json") for stage in STAGES}
    rows += [
        f"| {s} | {c['wall_seconds']:.0f} | {c['cpu_seconds']:.0f} | {c['peak_memory_mb']:,} |"
        for s, c in costs.items()
    ]
    wall, cpu = (sum(c[name] for c in costs.values()) for name in ("wall_seconds", "cpu_seconds"))
    rows.append(
        f"| **all** | **{wall:.0f}** | **{cpu:.0f}** | **{max(c['peak_memory_mb'] for c in costs.values()):,}** |"
    )
    one = costs["train"]
    return "\n".join(rows) + f"\n\n{one['cores']} cores, {one['threads']} threads, {one['device']}."


def benchmarks() -> str:
    """Ratios of `make bench`, each measured in one run."""
    found = load("benchmarks.json")
    pool, epoch = found.get("select_pool"), found["epoch"]
    trivial = found["trivial_augment"]
    rows = [
        *(
            (
                f"TrivialAugment on batches of {n}, over torchvision image by image: tensors, PIL",
                f"{trivial[f'tensor_over_{n}']:.1f}x, {trivial[f'pil_over_{n}']:.1f}x",
            )
            for n in (128, 512)
        ),
        ("stylising with cached style statistics, over encoding styles anew", f"{found['stylise']['ratio']:.2f}x"),
        ("the Fréchet curve in one pass, over 11 passes (CPU time)", f"{found['frechet_curve']['ratio_cpu']:.1f}x"),
        ("an epoch with NST + TA over a baseline epoch, everything painted anew", f"{epoch['refresh_1_ratio']:.2f}x"),
        ("the same, a tenth painted anew", f"{epoch['refresh_0.1_ratio']:.2f}x"),
    ]
    if pool:  # it writes 3 GB, and may be left out
        rows.append(
            (f"selecting from {pool['n']:,} images", f"{pool['total_s']:.0f} s, {pool['peak_mb']:,} MB resident")
        )
    cores = found["epoch"]["cores"]
    head = ["| what | measured |", "|---|---|"]
    return (
        "\n".join([*head, *(f"| {a} | {b} |" for a, b in rows)]) + f"\n\nMedians, one thread, on {cores} shared cores."
    )


def percent(value: float) -> str:
    """A fraction in percent, one decimal."""
    return f"{100 * value:.1f}"


def span(interval: list[float], sign: bool = False) -> str:
    """An interval in percent, in brackets."""
    low, high = (f"{100 * bound:+.1f}" if sign else percent(bound) for bound in interval)
    return f"[{low}, {high}]"


PARTS: dict[str, Callable[[], str]] = {"result": result, "ablation": ablation, "times": times, "benchmarks": benchmarks}


def fill(text: str) -> str:
    """The text with every part made anew."""
    for name, make in PARTS.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, count = re.subn(pattern, partial(_put, make()), text, flags=re.DOTALL)
        if count != 1:
            sys.exit(f"error: the README has the part {name!r} {count} times, not once")
    return text


def _put(body: str, match: re.Match[str]) -> str:
    return f"{match[1]}{body}\n{match[2]}"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    for name, source in {"strip": "strip", "fid": "frechet"}.items():
        picture = ROOT / "report" / f"{source}.png"
        if picture.exists() and "--check" not in sys.argv:
            (ROOT / "docs" / "images").mkdir(exist_ok=True)
            shutil.copy(picture, ROOT / "docs" / "images" / f"{name}.png")
    before = readme.read_text(encoding="utf-8")
    after = fill(before)
    if "--check" in sys.argv:
        sys.exit(after != before)
    readme.write_text(after, encoding="utf-8")
