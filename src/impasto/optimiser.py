"""The optimiser of a classifier."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from impasto.config.train import Train


def build_optimiser(model: nn.Module, train: Train) -> Optimizer:
    """SGD with Nesterov momentum, Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019), over all parameters.

    Adam and AdamW take ``train.momentum`` for their beta 1, the decay of the mean gradient; beta 2 is 0.999. SGD and
    Adam add the weight decay to the gradient, after clipping; AdamW shrinks the weights by it, times the learning rate.
    On CUDA all are fused: only so may the scaler of fp16 leave it to the device whether a gradient is finite.
    """
    fused = next(model.parameters()).is_cuda
    rate, decay, momentum = train.learning_rate, train.weight_decay, train.momentum
    if train.optimizer != "sgd":
        kind = Adam if train.optimizer == "adam" else AdamW
        return kind(model.parameters(), lr=rate, betas=(momentum, 0.999), weight_decay=decay, fused=fused)
    return SGD(model.parameters(), lr=rate, momentum=momentum, weight_decay=decay, nesterov=momentum > 0, fused=fused)
