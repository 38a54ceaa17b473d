"""The tables of times, from metrics/benchmarks.json and metrics/estimate.json."""

from __future__ import annotations

from typing import Any

import words
from words import micro, times_as

ARMS = ("refresh_1", "refresh_0.1")


def benchmarks() -> str:
    """Ratios of `make bench`, each measured in one run."""
    found = words.load("benchmarks.json")
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
    found = words.load("estimate.json")
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
    found = words.load("benchmarks.json")
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
