"""Which corruptions make up which benchmark, in the order in which their authors list them."""

from __future__ import annotations

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

PIXEL_NOISE = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise")
"""What Siedel et al. leave out of a mean without pixel noise."""
