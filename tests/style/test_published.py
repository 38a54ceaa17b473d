"""Published artefacts, from files of their exact layout: converted, recognised, reduced, refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from adain_files import DECODER, ENCODER, decode, encode, random_weights, write
from safetensors import safe_open
from style_doubles import pictures
from torch import Tensor

from file_server import Web, serve
from impasto.config.style import Style
from impasto.data import remote
from impasto.data.origin import FOLDER, Published, identify
from impasto.data.pinned import pin_of
from impasto.errors import ImpastoError
from impasto.io import write_npy
from impasto.rng import generator
from impasto.style import published
from impasto.style.bank import StyleBank, encode_styles, load_bank
from impasto.style.encoders import ENCODERS, EfficientNetLite0Encoder
from impasto.style.published import (
    STYLE_FEATURES,
    VGG19,
    VGG_DECODER,
    bank_of_features,
    convert_decoder,
    convert_encoder,
    load_encoder,
    published_bank,
)
from impasto.style.stylize import BANK, Recolourer, Stylizer, load_painter
from impasto.style.stylize import DECODER as DECODER_FILE
from impasto.style.stylize import ENCODER as ENCODER_FILE
from impasto.style.vgg import Vgg19Encoder, VggDecoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def whole() -> dict[str, Tensor]:
    """All 53 layers of the encoder."""
    return random_weights(ENCODER)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, whole: dict[str, Tensor]) -> Path:
    """A folder with both weight files, in the old format as the authors' are."""
    folder = tmp_path_factory.mktemp("official")
    write(folder / "vgg_normalised.pth", whole, old=True)
    write(folder / "decoder.pth", random_weights(DECODER, seed=1), old=True)
    return folder


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory, files: Path) -> Path:
    """A style model of the published networks and a bank of three styles."""
    folder = tmp_path_factory.mktemp("style")
    convert_encoder(folder / ENCODER_FILE, files / "vgg_normalised.pth")
    convert_decoder(folder / DECODER_FILE, files / "decoder.pth")
    encode_styles(pictures(3, 32, seed=2), load_encoder(folder / ENCODER_FILE, 32)).save(folder / BANK)
    return folder


def parameters(method: str = "adain", encoder: str = "vgg19") -> Style:
    """What load_painter reads; reading anything else is an error."""
    return Style.model_construct(method=method, encoder=encoder, upscale=32, faithful=False)


def claim(monkeypatch: pytest.MonkeyPatch, name: str, file: Path) -> None:
    """Let ``file`` be the published one."""
    one: Published = getattr(published, name)
    monkeypatch.setattr(published, name, Published(one.remote, git_blob=identify(file, one).git_blob))


def test_a_converted_encoder_computes_what_its_file_says(converted: Path, whole: dict[str, Tensor]) -> None:
    content = torch.rand(2, 3, 32, 32, generator=generator(0, "test-images"))
    for found, wanted in zip(
        load_encoder(converted / ENCODER_FILE, 32).levels(content), encode(whole, content), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    with safe_open(converted / ENCODER_FILE, "pt") as file:
        assert sum(file.get_tensor(name).numel() for name in file.keys()) == 3_505_740  # noqa: SIM118


def test_the_record_says_whether_the_file_is_the_published_one(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for convert, name, file in (
        (convert_encoder, "VGG19", "vgg_normalised.pth"),
        (convert_decoder, "VGG_DECODER", "decoder.pth"),
    ):
        origin = convert(tmp_path / "net.safetensors", files / file)
        assert origin.published is False and origin.name == file
        claim(monkeypatch, name, files / file)
        origin = convert(tmp_path / "net.safetensors", files / file)
        assert origin.published is True
        with safe_open(tmp_path / "net.safetensors", "pt") as stored:
            assert stored.metadata() == {"origin": origin.text()}


def test_the_known_digests() -> None:
    """As the fact sheet has them; nothing is known of the features."""
    assert VGG19.git_blob == "18a783877329319e5a640ae20f7b98c64e5f5572"
    assert VGG_DECODER.git_blob == "ccd7832185528ee899f752d532c3a5f08627196a"
    assert STYLE_FEATURES.git_blob is None and STYLE_FEATURES.sha256 == ""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(remote, "_PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as found:
        yield found


def on(web: Web, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, git_blob: str | None = None) -> Published:
    """Publish ``content`` on the server in the place of a published file, under the last of its addresses."""
    one: Published = getattr(published, name)
    paths = [f"/{number}/{one.remote.name}" for number in range(len(one.remote.urls))]
    web.files[paths[-1]] = content
    there = Published(replace(one.remote, urls=tuple(web.address + path for path in paths)), git_blob=git_blob)
    monkeypatch.setattr(published, name, there)
    return there


def test_the_networks_are_downloaded_and_converted(
    web: Web, root: Path, files: Path, whole: dict[str, Tensor], converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `impasto` does without any path: from the server, in the old format, under the digest of git."""
    for convert, name, target in (
        (convert_encoder, "VGG19", ENCODER_FILE),
        (convert_decoder, "VGG_DECODER", DECODER_FILE),
    ):
        one: Published = getattr(published, name)
        file = files / one.remote.name
        on(web, monkeypatch, name, file.read_bytes(), identify(file, one).git_blob)
        for _ in range(2):
            origin = convert(root / target)
        assert origin.published is True and origin.name == one.remote.name
        with safe_open(root / target, "pt") as ours, safe_open(converted / target, "pt") as wanted:
            assert set(ours.keys()) == set(wanted.keys())
            assert all(torch.equal(ours.get_tensor(key), wanted.get_tensor(key)) for key in wanted.keys())  # noqa: SIM118
    asked = [path for path, _ in web.asked]
    assert asked == ["/0/vgg_normalised.pth", "/1/vgg_normalised.pth", "/0/decoder.pth"], "once, both spellings"
    assert torch.equal(load_encoder(root / ENCODER_FILE, 32).layers[0].weight, whole["0.weight"])
    assert not list(root.rglob("*.pin.json"))


def test_another_network_from_the_server_is_refused(
    web: Web, root: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(web, monkeypatch, "VGG_DECODER", b"<html>Log in</html>", VGG_DECODER.git_blob)
    with pytest.raises(ImpastoError, match=r"decoder.pth has git blob .*; git blob ccd78\w+ was published.*Delete it"):
        convert_decoder(root / DECODER_FILE)
    assert not (root / DECODER_FILE).exists()


def test_the_features_are_downloaded_and_pinned_once_they_are_read(
    web: Web, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No checksum is known: a web page in their place is not pinned, and the right file is taken afterwards."""
    maps, buffer = np.random.default_rng(0).normal(size=(5, 512, 3, 3)).astype(np.float32), BytesIO()
    np.save(buffer, maps)
    on(web, monkeypatch, "STYLE_FEATURES", b"<html>Log in</html>" * 99)
    file = root / FOLDER / "style_feats_adain_1000.npy"
    with pytest.raises(ImpastoError, match="style_feats_adain_1000.npy is truncated or no array"):
        published_bank(None, 4)
    assert file.exists() and not pin_of(file).exists()
    file.unlink()
    (path,) = web.files
    web.files[path] = buffer.getvalue()
    for _ in range(2):
        bank, origin = published_bank(None, 4)
        np.testing.assert_allclose(bank.mean, maps[:4].mean((2, 3)), rtol=1e-4, atol=1e-5)
        assert origin.published is None and pin_of(file).exists()
    assert len(web.asked) == 2
    file.write_bytes(buffer.getvalue()[:-1] + b"x")
    with pytest.raises(ImpastoError, match="pin.json says"):
        published_bank(None, 4)


def test_a_file_that_does_not_fit_is_named(tmp_path: Path, files: Path, whole: dict[str, Tensor]) -> None:
    with pytest.raises(ImpastoError, match=r"decoder.pth lacks '0.weight' and \d+ more of 34"):
        convert_encoder(tmp_path / "net.safetensors", files / "decoder.pth")
    cut = write(tmp_path / "cut.pth", {name: whole[name] for name in whole if name != "51.bias"})
    with pytest.raises(ImpastoError, match=r"lacks '51.bias' and 0 more of 34"):
        convert_encoder(tmp_path / "net.safetensors", cut)
    assert not (tmp_path / "net.safetensors").exists()


def test_the_registered_encoder_takes_the_published_file(
    root: Path, files: Path, whole: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / FOLDER).mkdir(parents=True)
    (root / FOLDER / "vgg_normalised.pth").symlink_to(files / "vgg_normalised.pth")
    with pytest.raises(ImpastoError, match="git blob 18a783877329319e5a640ae20f7b98c64e5f5572 was published"):
        ENCODERS["vgg19"](16)
    claim(monkeypatch, "VGG19", files / "vgg_normalised.pth")
    encoder = ENCODERS["vgg19"](16)
    assert isinstance(encoder, Vgg19Encoder) and encoder.upscale == 16
    assert torch.equal(encoder.layers[29].weight, whole["29.weight"])


def test_a_model_folder_paints_without_the_official_files(
    converted: Path, root: Path, whole: dict[str, Tensor]
) -> None:
    painter = load_painter(converted, parameters(), CPU, "fp32")
    assert isinstance(painter, Stylizer) and isinstance(painter.decoder, VggDecoder)
    assert not (root / FOLDER).exists()
    images = pictures(2, 32)
    painted = painter(images, torch.tensor([0, 2]), torch.zeros(2))
    plain = decode(random_weights(DECODER, seed=1), encode(whole, images.float() / 255)[-1])
    assert (painted.float() - plain.clamp(0, 1) * 255).abs().max() < 0.51


def test_a_damaged_model_folder_is_explained(converted: Path, tmp_path: Path) -> None:
    (tmp_path / BANK).write_bytes((converted / BANK).read_bytes())
    (tmp_path / ENCODER_FILE).write_bytes((converted / DECODER_FILE).read_bytes())
    with pytest.raises(ImpastoError, match="encoder.safetensors lacks '0.weight'"):
        load_painter(tmp_path, parameters(), CPU, "fp32")


def test_a_bank_of_another_encoder_is_refused(converted: Path) -> None:
    with pytest.raises(ImpastoError, match=r"bank has 512 channels, the encoder 144.*style\.encoder"):
        load_painter(converted, parameters(encoder="efficientnet_lite0"), CPU, "fp32")
    assert EfficientNetLite0Encoder.channels == 144


@pytest.mark.parametrize("dtype", ["<f4", "<f2", "<f8", ">f4"])
def test_features_are_reduced_to_their_moments(tmp_path: Path, dtype: str) -> None:
    maps = np.random.default_rng(0).normal(1, 2, (35, 512, 3, 5)).astype(dtype)  # more than two chunks
    write_npy(tmp_path / "features.npy", maps)
    bank = bank_of_features(tmp_path / "features.npy", 35)
    wide = maps.astype(np.float64)
    np.testing.assert_allclose(bank.mean, wide.mean((2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(bank.std, np.sqrt(wide.var((2, 3), ddof=1) + 1e-5), rtol=1e-4, atol=1e-5)
    assert bank.mean.shape == bank.std.shape == (35, 512) and bank.mean.dtype == torch.float32


def test_features_give_the_bank_that_their_pictures_give(tmp_path: Path, converted: Path) -> None:
    encoder, styles = load_encoder(converted / ENCODER_FILE, 32), pictures(4, 32, seed=3)
    write_npy(tmp_path / "features.npy", encoder.levels(styles.float() / 255)[-1].numpy())
    bank, origin = published_bank(tmp_path / "features.npy", 4)
    expected = encode_styles(styles, encoder)
    torch.testing.assert_close(bank.mean, expected.mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(bank.std, expected.std, rtol=1e-5, atol=1e-6)
    assert origin.published is None and len(origin.sha256) == 64


def test_a_bank_of_features_knows_no_colours(tmp_path: Path) -> None:
    write_npy(tmp_path / "features.npy", np.ones((2, 512, 2, 2), np.float32))
    bank_of_features(tmp_path / "features.npy", 2).save(tmp_path / BANK)
    bank = load_bank(tmp_path / BANK)
    assert bank.rgb_mean.shape == bank.rgb_std.shape == (2, 0)
    for make in (lambda: Recolourer(bank), lambda: load_painter(tmp_path, parameters("colour"), CPU, "fp32")):
        with pytest.raises(ImpastoError, match=r"no statistics of the styles' colours.*style\.method.*adain"):
            make()


@pytest.mark.parametrize(
    ("array", "fault"),
    [
        (np.zeros((2, 512, 9), np.float32), r"is float32 \[2, 512, 9\]"),
        (np.zeros((2, 256, 3, 3), np.float32), r"is float32 \[2, 256, 3, 3\]"),
        (np.zeros((0, 512, 3, 3), np.float32), r"is float32 \[0, 512, 3, 3\]"),
        (np.zeros((2, 512, 3, 3), np.int64), r"is int64 \[2, 512, 3, 3\]"),
        (np.zeros((2, 512, 1, 1), np.float32), "maps of 1 x 1"),
        (np.full((2, 512, 2, 2), np.inf, np.float32), "not finite"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: np.ndarray, fault: str) -> None:
    write_npy(tmp_path / "features.npy", array)
    with pytest.raises(ImpastoError, match=f"{fault}.*style_feats_adain_1000.npy"):
        bank_of_features(tmp_path / "features.npy", 1)


def test_features_are_read_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_npy(tmp_path / "features.npy", np.ones((40, 512, 2, 2), np.float32))
    seen: list[int] = []
    real = published.moments
    monkeypatch.setattr(published, "moments", lambda maps: (seen.append(len(maps)), real(maps))[1])
    assert isinstance(bank_of_features(tmp_path / "features.npy", 40), StyleBank)
    assert seen == [16, 16, 8]


def test_the_first_styles_are_taken_and_no_more_than_there_are(tmp_path: Path) -> None:
    maps = np.random.default_rng(0).normal(1, 2, (20, 512, 2, 2)).astype(np.float32)
    maps[18:] = np.inf  # what is not taken is not read
    write_npy(tmp_path / "features.npy", maps)
    bank, _ = published_bank(tmp_path / "features.npy", 18)
    np.testing.assert_allclose(bank.mean, maps[:18].mean((2, 3)), rtol=1e-4, atol=1e-5)
    assert all(len(column) == 18 for column in bank)
    with pytest.raises(ImpastoError, match=r"style\.count is 21, but .*features.npy holds 20 styles .style\.count"):
        published_bank(tmp_path / "features.npy", 21)
