"""The decoder: from the encoder's AdaIN level back to pixels, a small mirror of the encoder."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from impasto.errors import ImpastoError
from impasto.io import atomic, missing
from impasto.style.adain import Moments
from impasto.style.vgg import VggDecoder, decoder_shapes


class Decoder(nn.Module):
    """Reflection-padded 3 x 3 convolutions, one nearest-neighbour doubling, a sigmoid at the end.

    Features a quarter of the upscaled image wide give pictures half of it wide: 32 px images encoded at 64 px are
    decoded at their own size, so that no convolution is spent on pixels that shrinking would throw away.

    Args:
        channels: channels of the features, 144 for EfficientNet-Lite0 (0.149 M parameters).
        generator: draws the initial weights (He et al. 2015), so that they depend on nothing else.
    """

    def __init__(self, channels: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.centre: Tensor
        self.spread: Tensor
        self.register_buffer("centre", torch.zeros(channels, 1, 1))
        self.register_buffer("spread", torch.ones(channels, 1, 1))
        self.layers = nn.Sequential(
            _conv(channels, 64),
            nn.ReLU(),
            _conv(64, 64),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="nearest"),
            _conv(64, 32),
            nn.ReLU(),
            _conv(32, 32),
            nn.ReLU(),
            _conv(32, 3),
            nn.Sigmoid(),
        )
        for layer in (layer for layer in self.layers if isinstance(layer, nn.Conv2d)):
            # The last layer starts near mid-grey: a saturated sigmoid never learns.
            gain = 0.1 if layer.out_channels == 3 else 1.0
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            with torch.no_grad():
                layer.weight.mul_(gain)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)

    def forward(self, features: Tensor) -> Tensor:
        """Pictures [B, 3, 2h, 2w] in [0, 1] from features [B, C, h, w]."""
        pictures: Tensor = self.layers((features - self.centre) / self.spread)
        return pictures

    def standardise(self, typical: Moments) -> None:
        """Centre and scale the features by these channel moments [S, C], averaged over styles: fitting is faster."""
        self.centre.copy_(typical.mean.mean(0)[:, None, None])
        self.spread.copy_(typical.std.mean(0)[:, None, None])

    def save(self, path: Path) -> None:
        """Write the weights as safetensors, atomically."""
        with atomic(path) as part:
            save_file({name: tensor.cpu().contiguous() for name, tensor in self.state_dict().items()}, part)


def load_decoder(path: Path) -> Decoder | VggDecoder:
    """Read a fitted decoder (:meth:`Decoder.save`) or the converted published one, as the file's tensors say.

    It is on the CPU, in eval mode, without gradients.

    Raises:
        ImpastoError: the file is missing or is no decoder.
    """
    if not path.exists():
        raise missing(path)
    try:
        weights = load_file(path)
        if weights.keys() == decoder_shapes().keys():
            return VggDecoder(weights)
        decoder = Decoder(weights["layers.0.weight"].shape[1])
        decoder.load_state_dict(weights)
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise ImpastoError(
            f"{path} is no style decoder: {error}", where=str(path), remedy="Delete it and run `dvc repro style`."
        ) from error
    return decoder.eval().requires_grad_(False)


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")
