"""The table of the benchmarks and their goals, from metrics/benchmarks.json."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import words
from words import times_as

Found: TypeAlias = dict[str, Any]
"""What a benchmark returned."""

ARMS = ("refresh_1", "refresh_0.1")
DASH = "—"


class Row(NamedTuple):
    """A line of the table of benchmarks; where a goal is set, ``met`` says whether it is reached."""

    what: str
    measured: str
    goal: str = DASH
    met: bool | None = None


def benchmarks() -> str:
    """Every benchmark of `make bench`, each measured in one run, with its goal."""
    found = words.load("benchmarks.json")
    if unknown := found.keys() - ROWS.keys():
        sys.exit(f"error: docs/speeds.py has no row for the benchmark {', '.join(sorted(unknown))}.")
    rows = [row for name, make in ROWS.items() if name in found for row in make(found[name])]
    head = ["| what | measured | goal | met |", "|---|---|---|---|"]
    verdict = {None: DASH, True: "yes", False: "**no**"}
    lines = [f"| {row.what} | {row.measured} | {row.goal} | {verdict[row.met]} |" for row in rows]
    return "\n".join([*head, *lines]) + (
        f"\n\nMedians, one thread unless it says otherwise, on {found['epoch']['cores']} shared cores. Goals were set "
        "before; where there is none, the line is there to be compared."
    )


def at_least(what: str, ratio: float, goal: float | None = None, digits: int = 1) -> Row:
    """A line on how many times faster something is."""
    shown = f"{ratio:.{digits}f}x" if digits > 1 else times_as(ratio)
    return Row(what, shown) if goal is None else Row(what, shown, f"at least {goal:g}x", ratio >= goal)


def trivial_augment(found: Found) -> list[Row]:
    """Against PIL images and tensors, each in two sizes of batch."""
    label = "TrivialAugment on batches of {}, over torchvision image by image: {}"
    forms = {"tensor": "tensors", "pil": "PIL"}
    return [
        at_least(label.format(n, name), found[f"{form}_over_{n}"], 10)
        for n in (128, 512)
        for form, name in forms.items()
    ]


def augmix(found: Found) -> list[Row]:
    """Against tensors of both types, batches of 128."""
    label = "AugMix on batches of 128, over torchvision image by image: {}"
    return [at_least(label.format(form), found[f"{form}_over_128"]) for form in ("uint8", "float")]


def pnorm_noise(found: Found) -> list[Row]:
    """Against both loops over groups of 8."""
    label = "p-norm noise on batches of {}, over a loop over groups of 8 in {} (CPU time)"
    return [
        at_least(label.format(found["batch"], form), found[ratio], 10)
        for ratio, form in (("loop_ratio", "float32"), ("half_ratio", "the reference's shape, with 16-bit draws"))
    ]


def stylise(found: Found) -> list[Row]:
    """Both encoders, in float32 and with bfloat16, and what bfloat16 costs in the pictures."""
    pairs = {"the default encoder": found} | {f"VGG-19 at {at}": one for at, one in found.get("vgg19", {}).items()}
    rows = []
    for label, one in pairs.items():
        error, facts = one["bf16_mean_difference"], f"n = {one['n']}, {one['repeats']} repeats"
        what = f"stylising with {label}, styles cached, over encoding them anew in fp32 ({facts})"
        # The goals are VGG-19's: the smaller encoder bounds what caching can gain at `bound`.
        goals = (None, None) if one is found else (1.45, 2.7)
        rows.append(at_least(f"{what}: fp32, {one['bound']:g}x by operations alone", one["ratio_fp32"], goals[0], 2))
        rows.append(at_least(f"{what}: bf16", one["ratio_bf16"], goals[1], 2))
        rows.append(Row(f"mean error of bf16 there, of 255 ({facts})", f"{error:.2f}", "at most 1", error <= 1))
    return rows


def frechet_curve(found: Found) -> list[Row]:
    """One pass against one for each point."""
    return [at_least(f"the Fréchet curve in one pass, over {found['points']} passes (CPU time)", found["ratio_cpu"], 5)]


def epoch(found: Found) -> list[Row]:
    """An epoch with paintings over one without."""
    label = "an epoch with NST + TA over a baseline epoch, {} painted anew"
    ratio = found["refresh_0.1_ratio"]
    return [
        Row(label.format("everything"), f"{found['refresh_1_ratio']:.2f}x"),
        Row(label.format("a tenth"), f"{ratio:.2f}x", "at most 1.3x", ratio <= 1.3),
    ]


def reference_epoch(found: Found) -> list[Row]:
    """Against a DataLoader pipeline; the precision of ours differs from that of the peer, which the line says."""
    n = found["n"]
    peer = "a torchvision DataLoader that stylises batches of 50 in fp32"
    label = f"what an epoch costs beyond the network: {peer}, over ours in {found['precision']} (CPU time)"
    bank = f"refresh 0.1, with the bank as {found['full']} epochs of {n:,} + {n:,} images have filled it"
    notes = {"refresh_1": ("refresh 1", 2.5), "refresh_0.1": (bank, 10)}
    return [at_least(f"{label}: {note}", found[f"{arm}_ratio"], goal) for arm, (note, goal) in notes.items()]


def select_pool(found: Found) -> list[Row]:
    """Time and memory."""
    took, held = found["total_s"], found["peak_mb"]
    measured = f"{took:.0f} s, {held:,} MB resident"
    what = f"selecting from {found['n']:,} images, {found['threads']} threads"
    return [Row(what, measured, "under 2 min, 1.5 GB", took < 120 and held < 1500)]


def corruptions(found: Found) -> list[Row]:
    """-C in total."""
    peer = f"the {len(found['cifar'])} corruptions of -C over imagecorruptions-imaug (CPU time)"
    original = f"{', '.join(found['original'])}, over the generator's algorithms, CIFAR's constants (CPU time)"
    return [
        at_least(f"{peer}, ImageNet's constants: 32 px", found["ratio_imagenet"], 15),
        at_least("the same at 224 px", found["ratio_224"]),
        at_least("the same at 32 px, impasto with CIFAR's constants, the other with its own", found["ratio_cifar"]),
        at_least(original, found["ratio_original"], 25),
    ]


def cbar(found: Found) -> list[Row]:
    """-C-bar for CIFAR in total."""
    return [
        at_least("-C-bar for CIFAR over numpy image by image (CPU time)", found["ratio"], 60),
        at_least("-C-bar for CIFAR over its authors' loops over pixels (CPU time)", found["ratio_original"]),
    ]


def evaluate(found: Found) -> list[Row]:
    """Time alone: there is nothing to compare it with."""
    what = f"evaluating {found['n']:,} images in {found['cells']} cells, {found['threads']} threads"
    return [Row(what, f"{found['wall_s']:.0f} s, of CPU time {found['cpu_s']:.0f} s")]


def processes(found: Found) -> list[Row]:
    """Two processes against one: of as many threads in all by the clock, of a thread by CPU time."""
    works = {"epoch": "an epoch with NST + TA", "evaluate": "an evaluation"}
    return [
        Row(
            f"{what} on two processes of a thread: time over one of {found['threads']}; CPU time over one of a thread",
            f"{found[f'{work}_ratio']:.2f}x; {found[f'{work}_cpu_ratio']:.2f}x",
        )
        for work, what in works.items()
    ]


def tracking(found: Found) -> list[Row]:
    """The local store alone, and a server besides."""
    label = f"logging to MLflow, of an epoch on {found['n']:,} images without styles"
    stores = {"local": "the local store", "server": "and to a server on this machine"}
    rows = []
    for name, store in stores.items():
        took, epoch, once = (found[f"{name}_{part}"] for part in ("percent", "epoch_s", "stage_s"))
        measured = f"{took:.2f} % of {epoch:.2f} s; {once:.1f} s a stage"
        rows.append(Row(f"{label}: {store}", measured, "under 1 %", took < 1))
    return rows


def tune(found: Found) -> list[Row]:
    """What a search adds to each trial; without Ray installed, in one process alone."""
    what = f"what `impasto tune` adds to a trial of {found['plain_s']:.1f} s ({found['repeats']} repeats)"
    ways = {"ray_added_s": "on Ray", "here_added_s": "in one process"}
    return [
        Row(f"{what}: {way}", f"{found[name]:.2f} s", "under 3 s", found[name] < 3)
        for name, way in ways.items()
        if name in found
    ]


ROWS: dict[str, Callable[[Found], list[Row]]] = {
    make.__name__: make
    for make in (
        trivial_augment,
        augmix,
        pnorm_noise,
        stylise,
        frechet_curve,
        epoch,
        reference_epoch,
        select_pool,
        corruptions,
        cbar,
        evaluate,
        processes,
        tracking,
        tune,
    )
}
