"""Severity constants of -C-bar: benchmark -> corruption -> the parameters of severities 1 to 5, (severity value,).

A severity value is the authors' own measure, a real number; each corruption scales it to what it needs. They chose the
values so that a model errs on -C-bar as on -C. Source: the lists cifar10_c_bar.csv and imagenet_c_bar.csv of Mintun,
Kirillov and Xie, "On Interaction Between Augmentations and Corruptions in Natural Corruption Robustness", NeurIPS 2021.
TinyImageNet has no list of its own and takes that of ImageNet. A corruption that a benchmark's list leaves out takes
the values of the other list, so that each of the 15 has constants everywhere; a benchmark's own ten are in
:data:`impasto.corruptions.sets.C_BAR`.
"""

from __future__ import annotations

from impasto.corruptions.tables import Severities

_CIFAR: dict[str, Severities] = {
    "blue_noise_sample": ((0.7,), (1.4,), (2.1,), (3.5,), (4.2,)),
    "brownish_noise": ((2.5,), (4,), (5.5,), (6.5,), (7,)),
    "checkerboard_cutout": ((1,), (2,), (3,), (4,), (5,)),
    "inverse_sparkles": ((1,), (1.5,), (2.5,), (4.5,), (5,)),
    "sparkles": ((0.7,), (3.5,), (5.6,), (6.3,), (7,)),
    "pinch_and_twirl": ((5.5,), (6,), (6.5,), (8.5,), (10,)),
    "ripple": ((5.5,), (6,), (6.5,), (7.5,), (8,)),
    "circular_motion_blur": ((2.8,), (3.6,), (4.4,), (5.2,), (6,)),
    "lines": ((0.5,), (1,), (1.5,), (2,), (2.5,)),
    "transverse_chromatic_abberation": ((1,), (2,), (5,), (9,), (10,)),
}

_IMAGENET: dict[str, Severities] = {
    "blue_noise_sample": ((0.8,), (1.6,), (2.4,), (4,), (5.6,)),
    "brownish_noise": ((1,), (2,), (3,), (4,), (5,)),
    "checkerboard_cutout": ((2,), (3,), (4,), (5,), (6,)),
    "inverse_sparkles": ((1,), (2,), (4,), (9,), (10,)),
    "sparkles": ((1,), (2,), (3,), (5,), (6,)),
    "caustic_refraction": ((2.35,), (3.2,), (4.9,), (6.6,), (9.15,)),
    "cocentric_sine_waves": ((3,), (5,), (8,), (9,), (10,)),
    "perlin_noise": ((4.6,), (5.2,), (5.8,), (7.6,), (8.8,)),
    "plasma_noise": ((4.75,), (7,), (8.5,), (9.25,), (10,)),
    "single_frequency_greyscale": ((1,), (1.5,), (2,), (4.5,), (5,)),
}

_NAMES = tuple(_CIFAR | _IMAGENET)

CBAR_TABLES: dict[str, dict[str, Severities]] = {
    "cifar": {name: (_IMAGENET | _CIFAR)[name] for name in _NAMES},
    "tin": {name: (_CIFAR | _IMAGENET)[name] for name in _NAMES},
    "imagenet": {name: (_CIFAR | _IMAGENET)[name] for name in _NAMES},
}
