"""Which corruptions make up which benchmark, in the order in which their authors list them."""

from __future__ import annotations

from collections.abc import Iterable

C15 = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
"""The test corruptions of -C (Hendrycks and Dietterich, ICLR 2019)."""

EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
"""The four that the authors keep for validation; -C with them has 19."""

C19 = C15 + EXTRA

_SHARED = ("blue_noise_sample", "brownish_noise", "checkerboard_cutout", "inverse_sparkles", "sparkles")

C_BAR = {
    "cifar": (
        *_SHARED,
        "pinch_and_twirl",
        "ripple",
        "circular_motion_blur",
        "lines",
        "transverse_chromatic_abberation",
    ),
    "imagenet": (
        *_SHARED,
        "caustic_refraction",
        "cocentric_sine_waves",
        "perlin_noise",
        "plasma_noise",
        "single_frequency_greyscale",
    ),
}
"""-C-bar (Mintun et al., NeurIPS 2021), by kind of images; TinyImageNet takes the list of ImageNet."""

C_BAR15 = tuple(dict.fromkeys(C_BAR["cifar"] + C_BAR["imagenet"]))
"""Every corruption of one of the two lists."""

NAMES = (*C19, "frost_procedural", *C_BAR15)
"""Every corruption that there is; ``frost_procedural`` is our own and belongs to no benchmark."""

PIXEL_NOISE = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "blue_noise_sample")
"""Noise that is drawn for each pixel by itself; Siedel et al. also report the mean over the 24 others of 29."""


BENCHMARKS = ("c", "c15", "c-bar")
"""What a whole benchmark is called where names of corruptions are asked for."""


def expand(names: Iterable[str], table: str) -> tuple[str, ...]:
    """Names of corruptions with the benchmarks among them written out; in order, none twice.

    Args:
        names: corruptions, or some of ``BENCHMARKS``: ``c`` is the 19 of -C, ``c15`` its 15, ``c-bar`` a list of ten.
        table: ``cifar`` has its own list of -C-bar; ``tin`` shares that of ``imagenet``.
    """
    lists = {"c": C19, "c15": C15, "c-bar": C_BAR["cifar" if table == "cifar" else "imagenet"]}
    return tuple(dict.fromkeys(name for entry in names for name in lists.get(entry, (entry,))))


def aggregates(c: Iterable[str], c_bar: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Which corruptions enter which mean, given those that were measured.

    Args:
        c: those that enter ``C``, in their order.
        c_bar: those that enter ``C_bar``.

    Returns:
        ``C``; ``C15``, if its 15 are all there; ``C_bar``, if there are any; and ``without_noise``, the rest of both
        when pixel noise is taken out.
    """
    c, c_bar = tuple(c), tuple(c_bar)
    rest = tuple(name for name in (*c, *c_bar) if name not in PIXEL_NOISE)
    sets = {"C": c, "C15": C15 if set(C15) <= set(c) else (), "C_bar": c_bar, "without_noise": rest}
    return {name: members for name, members in sets.items() if members}
