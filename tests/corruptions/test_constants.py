"""Every severity constant against a second transcription of the benchmarks' scripts, and who belongs to which list."""

import pytest

from impasto.corruptions.registry import parameters_of
from impasto.corruptions.sets import C15, C19, C_BAR, C_BAR15, EXTRA, PIXEL_NOISE

CIFAR = {
    "gaussian_noise": ".04 .06 .08 .09 .10",
    "shot_noise": "500 250 100 75 50",
    "impulse_noise": ".01 .02 .03 .05 .07",
    "speckle_noise": ".06 .1 .12 .16 .2",
    "gaussian_blur": ".4 .6 .7 .8 1",
    "defocus_blur": ".3,.4 .4,.5 .5,.6 1,.2 1.5,.1",
    "glass_blur": ".05,1,1 .25,1,1 .4,1,1 .25,1,2 .4,1,2",
    "motion_blur": "6,1 6,1.5 6,2 8,2 9,2.5",
    "zoom_blur": ".01,7 .01,12 .01,16 .01,21 .01,26",
    "snow": """.1,.2,1,.6,8,3,.95 .1,.2,1,.5,10,4,.9 .15,.3,1.75,.55,10,4,.9
        .25,.3,2.25,.6,12,6,.85 .3,.3,1.25,.65,14,12,.8""",
    "frost": "1,.2,.2 1,.3,.2 .9,.4,.2 .85,.4,.2 .75,.45,.2",
    "fog": ".2,3 .5,3 .75,2.5 1,2 1.5,1.75",
    "brightness": ".05 .1 .15 .2 .3",
    "saturate": ".3,0 .1,0 1.5,0 2,.1 2.5,.2",
    "contrast": ".75 .5 .4 .3 .15",
    "elastic_transform": "0,0,2.56 1.6,6.4,2.24 2.56,1.92,1.92 3.2,1.28,1.6 3.2,.96,.96",
    "pixelate": ".95 .9 .85 .75 .65",
    "jpeg_compression": "80 65 58 50 40",
    "spatter": ".62,.1,.7,.7,.5,0 .65,.1,.8,.7,.5,0 .65,.3,1,.69,.5,0 .65,.1,.7,.69,.6,1 .65,.1,.5,.68,.6,1",
}
TIN = {
    "gaussian_noise": ".04 .08 .12 .15 .18",
    "shot_noise": "250 100 50 30 15",
    "impulse_noise": ".01 .02 .05 .08 .14",
    "speckle_noise": ".15 .2 .25 .3 .35",
    "gaussian_blur": ".5 .75 1 1.25 1.5",
    "defocus_blur": ".5,.6 1,.1 1.5,.1 2.5,.01 3,.1",
    "glass_blur": ".1,1,1 .5,1,1 .6,1,2 .7,2,1 .9,2,2",
    "motion_blur": "10,1 10,1.5 10,2 10,2.5 12,3",
    "zoom_blur": ".01,7 .01,12 .01,16 .01,21 .01,26",
    "snow": """.1,.2,1,.6,8,3,.8 .1,.2,1,.5,10,4,.8 .15,.3,1.75,.55,10,4,.7
        .25,.3,2.25,.6,12,6,.65 .3,.3,1.25,.65,14,12,.6""",
    "frost": "1,.3,.3 .9,.4,.3 .8,.45,.3 .75,.5,.3 .7,.55,.3",
    "fog": ".4,3 .7,3 1,2.5 1.5,2 2,1.75",
    "brightness": ".1 .2 .3 .4 .5",
    "saturate": ".3,0 .1,0 2,0 5,.1 30,.2",
    "contrast": ".4 .3 .2 .1 .05",
    "elastic_transform": "0,0,5.12 3.2,19.2,3.84 6.4,5.12,3.84 6.4,1.92,1.92 10.24,1.92,1.28",
    "pixelate": ".9 .8 .7 .6 .5",
    "jpeg_compression": "65 58 50 40 25",
    "spatter": ".62,.1,.7,.7,.6,0 .65,.1,.8,.7,.6,0 .65,.3,1,.69,.6,0 .65,.1,.7,.68,.6,1 .65,.1,.5,.67,.6,1",
}
IMAGENET = {
    "gaussian_noise": ".08 .12 .18 .26 .38",
    "shot_noise": "60 25 12 5 3",
    "impulse_noise": ".03 .06 .09 .17 .27",
    "speckle_noise": ".15 .2 .35 .45 .6",
    "gaussian_blur": "1 2 3 4 6",
    "defocus_blur": "3,.1 4,.5 6,.5 8,.5 10,.5",
    "glass_blur": ".7,1,2 .9,2,1 1,2,3 1.1,3,2 1.5,4,2",
    "motion_blur": "10,3 15,5 15,8 15,12 20,15",
    "zoom_blur": ".01,12 .01,16 .02,11 .02,13 .03,11",
    "snow": """.1,.3,3,.5,10,4,.8 .2,.3,2,.5,12,4,.7 .55,.3,4,.9,12,8,.7
        .55,.3,4.5,.85,12,8,.65 .55,.3,2.5,.85,12,12,.55""",
    "frost": "1,.4,1 .8,.6,1 .7,.7,1 .65,.7,1 .6,.75,1",
    "fog": "1.5,2 2,2 2.5,1.7 2.5,1.5 3,1.4",
    "brightness": ".1 .2 .3 .4 .5",
    "saturate": ".3,0 .1,0 2,0 5,.1 20,.2",
    "contrast": ".4 .3 .2 .1 .05",
    "elastic_transform": "2,.7,.1 2,.08,.2 .05,.01,.02 .07,.01,.02 .12,.01,.02",  # in units of 244 pixels
    "pixelate": ".6 .5 .4 .3 .25",
    "jpeg_compression": "25 18 15 10 7",
    "spatter": ".65,.3,4,.69,.6,0 .65,.3,3,.68,.6,0 .65,.3,2,.68,.5,0 .65,.3,1,.65,1.5,1 .67,.4,1,.65,1.5,1",
}
CIFAR_BAR = {
    "blue_noise_sample": ".7 1.4 2.1 3.5 4.2",
    "brownish_noise": "2.5 4 5.5 6.5 7",
    "checkerboard_cutout": "1 2 3 4 5",
    "inverse_sparkles": "1 1.5 2.5 4.5 5",
    "sparkles": ".7 3.5 5.6 6.3 7",
    "pinch_and_twirl": "5.5 6 6.5 8.5 10",
    "ripple": "5.5 6 6.5 7.5 8",
    "circular_motion_blur": "2.8 3.6 4.4 5.2 6",
    "lines": ".5 1 1.5 2 2.5",
    "transverse_chromatic_abberation": "1 2 5 9 10",
}
IMAGENET_BAR = {
    "blue_noise_sample": ".8 1.6 2.4 4 5.6",
    "brownish_noise": "1 2 3 4 5",
    "checkerboard_cutout": "2 3 4 5 6",
    "inverse_sparkles": "1 2 4 9 10",
    "sparkles": "1 2 3 5 6",
    "caustic_refraction": "2.35 3.2 4.9 6.6 9.15",
    "cocentric_sine_waves": "3 5 8 9 10",
    "perlin_noise": "4.6 5.2 5.8 7.6 8.8",
    "plasma_noise": "4.75 7 8.5 9.25 10",
    "single_frequency_greyscale": "1 1.5 2 4.5 5",
}
TEST = """gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur
snow frost fog brightness contrast elastic_transform pixelate jpeg_compression"""
VALIDATION = "speckle_noise gaussian_blur spatter saturate"


def read(line: str) -> list[tuple[float, ...]]:
    return [tuple(float(number) for number in severity.split(",")) for severity in line.split()]


def of_every_severity(name: str, table: str) -> list[tuple[float, ...]]:
    return [parameters_of(name, severity, table) for severity in range(1, 6)]


@pytest.mark.parametrize(("table", "sheet"), [("cifar", CIFAR), ("tin", TIN), ("imagenet", IMAGENET)])
def test_constants_of_c(table: str, sheet: dict[str, str]) -> None:
    assert set(sheet) == set(C19)
    for name, line in sheet.items():
        expected = read(line)
        if (name, table) == ("elastic_transform", "imagenet"):
            expected = [tuple(244 * number for number in severity) for severity in expected]
        assert len(expected) == 5
        assert of_every_severity(name, table) == expected, name


@pytest.mark.parametrize(("table", "sheet"), [("cifar", CIFAR_BAR), ("tin", IMAGENET_BAR), ("imagenet", IMAGENET_BAR)])
def test_constants_of_c_bar(table: str, sheet: dict[str, str]) -> None:
    for name, line in sheet.items():
        assert of_every_severity(name, table) == read(line), name


@pytest.mark.parametrize("table", ["cifar", "tin", "imagenet"])
def test_procedural_frost_takes_the_constants_of_frost(table: str) -> None:
    assert of_every_severity("frost_procedural", table) == of_every_severity("frost", table)


def test_members_of_the_lists() -> None:
    assert tuple(TEST.split()) == C15
    assert tuple(VALIDATION.split()) == EXTRA
    assert tuple(TEST.split() + VALIDATION.split()) == C19
    assert set(C_BAR) == {"cifar", "imagenet"}
    assert C_BAR["cifar"] == tuple(CIFAR_BAR)
    assert C_BAR["imagenet"] == tuple(IMAGENET_BAR)
    assert set(C_BAR15) == set(CIFAR_BAR) | set(IMAGENET_BAR)
    assert len(C_BAR15) == 15
    noise = {f"{kind}_noise" for kind in ("gaussian", "shot", "impulse", "speckle")} | {"blue_noise_sample"}
    assert set(PIXEL_NOISE) == noise
    assert len(PIXEL_NOISE) == 5
