"""Fill the generated parts of the documentation from the committed metrics: `make docs`; --check fails when stale.

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

from results import results
from verdicts import claims

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("download", "split", "generate", "select", "style", "fid", "train", "finetune", "evaluate")
LABELS = {
    "baseline": "baseline", "ta": "TA", "nst": "NST", "nst-ta": "NST + TA", "syn": "SYN", "syn-ta": "SYN + TA",
    "syn-nst": "SYN + NST", "syn-nst-ta": "SYN + NST + TA", "colour-ta": "colours + TA (control)",
    "syn-quarter": "SYN, a quarter", "syn-nst-ta-quarter": "SYN, a quarter, + NST + TA",
}  # fmt: skip


ARMS = ("refresh_1", "refresh_0.1")
TABLES = {"cifar": "CIFAR-C", "tin": "TinyImageNet-C", "imagenet": "ImageNet-C, harder than CIFAR-C above"}


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
    rows = ["| arm | clean | C | core-minutes per seed |", "|---|---|---|---|"]
    for arm, row in table["arms"].items():
        cells = [f"{percent(row[name])} ± {percent(row[f'{name}_std'])}" for name in ("clean", "C")]
        rows.append(f"| {LABELS[arm]} | {' | '.join(cells)} | {row['core_minutes']} |")
    rows += ["", "| difference, paired by seed | clean | C |", "|---|---|---|"]
    for pair in table["pairs"]:
        cells = [f"{100 * pair[n]['mean']:+.1f} {span(pair[n]['interval'], sign=True)}" for n in ("clean", "C")]
        rows.append(f"| ({LABELS[pair['arm']]}) − ({LABELS[pair['reference']]}) | {' | '.join(cells)} |")
    return "\n".join(rows) + (
        f"\n\nAccuracy in %, mean ± standard deviation over {len(table['seeds'])} seeds; in brackets the 95 % interval "
        f"of the paired difference (Student t). C is that of {len(table['corruptions'])} corruptions of -C, at "
        f"severities {', '.join(map(str, table['severities']))} of {TABLES[table['table']]}. "
        f"{table['n']:,} test images, {table['hardware']}, revision {table['revision'][:7]}."
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
    return "\n".join(rows) + (
        f"\n\n{one['cores']} cores, {one['threads']} threads, {one['device']}; "
        "check and report, a few seconds, are left out."
    )


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
        *beyond_the_network(found),
        *corruption_ratios(found),
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


def beyond_the_network(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Rows on a DataLoader pipeline and on VGG-19, as far as they were measured."""
    rows = []
    if peer := found.get("reference_epoch"):
        label = (
            "what an epoch costs beyond the network: a torchvision DataLoader that stylises batches of 50, over ours"
        )
        rows.append((f"{label} (CPU time): refresh 1, 0.1", ", ".join(times_as(peer[f"{a}_ratio"]) for a in ARMS)))
    if vgg := found["stylise"].get("vgg19"):
        ratios = [vgg["224 px"][f"ratio_{precision}"] for precision in ("fp32", "bf16")]
        label = "stylising with VGG-19 at 224 px, cached, over encoding anew in fp32: fp32, bf16"
        rows.append((label, ", ".join(f"{ratio:.2f}x" for ratio in ratios)))
    return rows


def corruption_ratios(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Rows on the corruptions in total, as far as they were measured."""
    rows = []
    if c := found.get("corruptions"):
        peer = f"the {len(c['cifar'])} corruptions of -C over imagecorruptions-imaug (CPU time)"
        rows = [
            (
                f"{peer}, ImageNet's constants: 32 px, 224 px",
                f"{times_as(c['ratio_imagenet'])}, {times_as(c['ratio_224'])}",
            ),
            ("the same at 32 px, impasto with CIFAR's constants, the other with its own", times_as(c["ratio_cifar"])),
            (
                f"{', '.join(c['original'])}, over the generator's algorithms, CIFAR's constants (CPU time)",
                times_as(c["ratio_original"]),
            ),
        ]
    if bar := found.get("cbar"):
        rows.append(
            (
                "-C-bar for CIFAR over numpy image by image, over its authors' loops over pixels (CPU time)",
                f"{times_as(bar['ratio'])}, {times_as(bar['ratio_original'])}",
            )
        )
    return rows


def estimate() -> str:
    """Time and memory of the paper presets on one H100, as counted."""
    found = load("estimate.json")
    head = [
        "preset", "images", "stylised", "TFLOP: training, stylising", "GB moved: likewise",
        "s an epoch: training + stylising", "h, all epochs", "GB held: images, training, stylising",
    ]  # fmt: skip
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, one in found["presets"].items():
        cells = [name, f"{one['images']:,}", f"{one['stylised']:,}"]
        cells += [f"{one['training_tflop']:,.0f}, {one['stylising_tflop']:,.0f}"]
        cells += [f"{one['training_gb_moved']:,}, {one['stylising_gb_moved']:,}"]
        cells += [f"{one['training_s']} + {one['stylising_s']} = {one['epoch_s']}", f"{one['hours_of_run']}"]
        cells += [", ".join(f"{one[f'memory_{part}_gb']:.1f}" for part in ("images", "training", "stylising"))]
        rows.append(f"| {' | '.join(cells)} |")
    a = found["assumed"]
    return "\n".join(rows) + (
        f"\n\nAssumed: an H100 SXM of {a['tflops']} TFLOP/s in half precision and {a['terabytes_per_second']} TB/s, of "
        f"which {100 * a['reached']:.0f} % are reached; the longer of computing and moving counts. A saved activation "
        f"of training is passed over {a['passes']} times, {a['bytes']} bytes a number. A GPU stylises {a['chunk']} "
        "images at once."
    )


def speed() -> str:
    """Time of every corruption, and of what it is compared with."""
    found = load("benchmarks.json")
    makers = {"corruptions": ("-C", speed_of_c), "cbar": ("-C-bar", speed_of_c_bar)}
    return "\n\n".join(
        make(found[name]) if name in found else f"Times of {label} are not measured yet: `make bench` fills them in."
        for name, (label, make) in makers.items()
    )


def speed_of_c(found: dict[str, Any]) -> str:
    """One row for each corruption of -C."""
    rows = [
        "| -C | impasto, CIFAR's constants | impasto, ImageNet's | imagecorruptions-imaug | ratio | at 224 px |",
        "|---|---|---|---|---|---|",
    ]
    columns = [found[name] for name in ("cifar", "imagenet", "peer")]
    ratios = [found[name] for name in ("ratios", "ratios_224")]
    for name in found["cifar"]:
        cells = [micro(column[name]) for column in columns] + [times_as(column[name]) for column in ratios]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    cells = [micro(sum(column.values())) for column in columns]
    cells += [times_as(found[name]) for name in ("ratio_imagenet", "ratio_224")]
    rows.append(f"| **all** | {' | '.join(f'**{cell}**' for cell in cells)} |")
    return "\n".join(rows) + (
        f"\n\nMicroseconds of CPU time for an image of 32 px, severity 3, one thread, draws included, medians of "
        f"{found['repeats']} rounds that take all ways in turn. impasto gets {found['n']:,} images in a call, "
        "imagecorruptions-imaug one; at 224 px impasto gets eight. The ratios are at ImageNet's constants, "
        "the only ones that imagecorruptions-imaug has."
    )


def speed_of_c_bar(found: dict[str, Any]) -> str:
    """One table for each list of -C-bar."""
    tables = [
        bar_table("-C-bar for CIFAR, 32 px", found["cifar_32"]),
        bar_table("-C-bar for TinyImageNet, 64 px", found["tin_64"]),
    ]
    return "\n\n".join(tables) + (
        "\n\nThe same unit and way of measuring. numpy: plain numpy and scipy on an image at a time. The authors' "
        "loops: their algorithms, pixel by pixel where their generator goes pixel by pixel "
        "([original_cbar.py](../benchmarks/original_cbar.py))."
    )


def bar_table(title: str, found: dict[str, dict[str, float]]) -> str:
    """One row for each corruption, and one column and ratio for each way that was measured."""
    ways = {"numpy": ("numpy", "ratio"), "original": ("the authors' loops", "ratio_original")}
    ways = {way: names for way, names in ways.items() if way in found["total"]}
    rows = [
        f"| {title} | impasto | {' | '.join(f'{label} | ratio' for label, _ in ways.values())} |",
        "|---|---|" + "---|---|" * len(ways),
    ]
    for name, row in sorted(found.items(), key=lambda item: item[0] == "total"):
        cells = [name, micro(1e3 * row["ours"])]
        for way, (_, ratio) in ways.items():
            cells += [micro(1e3 * row[way]), times_as(row[ratio])]
        if name == "total":
            cells = [f"**{cell}**" for cell in ("all", *cells[1:])]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def micro(value: float) -> str:
    """Microseconds, to a tenth below 100."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def times_as(ratio: float) -> str:
    """A ratio, to a tenth below 100."""
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.1f}x"


def percent(value: float) -> str:
    """A fraction in percent, one decimal."""
    return f"{100 * value:.1f}"


def span(interval: list[float], sign: bool = False) -> str:
    """An interval in percent, in brackets."""
    low, high = (f"{100 * bound:+.1f}" if sign else percent(bound) for bound in interval)
    return f"[{low}, {high}]"


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"result": result, "ablation": ablation, "times": times, "benchmarks": benchmarks},
    "docs/corruptions.md": {"speed": speed},
    "docs/results.md": {"results": results},
    "docs/claims.md": {"claims": claims},
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
