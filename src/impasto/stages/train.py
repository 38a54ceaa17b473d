"""Train the classifier from scratch, once per seed."""

from __future__ import annotations

from impasto.checkpoint import Resume
from impasto.config.mix import Mix
from impasto.config.model import PACKAGE, Model
from impasto.config.train import Train
from impasto.data.checked import sha256_of
from impasto.models.efficientnet_lite0 import SHA256
from impasto.models.pretrained import weights_file
from impasto.models.registry import build
from impasto.models.saved import save_model
from impasto.phase import base_phase
from impasto.ranks import told
from impasto.runtime import device, first
from impasto.stages.classifier import Inputs, every_seed, logger
from impasto.stages.command import PARAMS, In, Out, Params, command, run, stage
from impasto.stages.together import together
from impasto.training import Trained, fit


@command
@together
def train(
    images: In,
    split: In,
    pool: In,
    synthetic: In,
    style: In,
    out: Out,
    metrics: Out,
    curve: Out,
    timing: Out,
    params: Params = PARAMS,
) -> None:
    """Write one model per seed, its numbers and its training curve."""
    given = {"images": images, "split": split, "pool": pool, "synthetic": synthetic, "style": style}
    with stage("train", params, timing, **given) as this:
        inputs, config, settings = Inputs(this), this.load(Model), this.load(Train)

        pretrained = _pretrained(config)

        def one(seed: int, resume: Resume) -> Trained:
            model = build(config, len(inputs.classes), **inputs.statistics, seed=seed).to(device())
            feed, phases = inputs.feed(seed, resume.folder, this.load(Mix)), [base_phase(settings)]
            validation, log = inputs.validation, logger(this, seed)
            found = fit(
                model,
                feed,
                validation,
                phases,
                settings,
                purpose=f"train, seed {seed}",
                resume=resume,
                on_epoch=log,
                selection=settings.selection,
            )
            if first():
                save_model(out / str(seed), model, config, inputs.classes, seed=seed, **pretrained)
            return found

        if first():
            inputs.write_copies(out / "copies.csv")
        every_seed(this, one, metrics, curve)


def _pretrained(config: Model) -> dict[str, str]:
    """Which file the weights came from, since DVC does not watch it; one process has it downloaded, the others wait."""
    if config.weights is None:
        return {}
    if config.weights == PACKAGE:
        return {"weights_sha256": SHA256}
    return told({"weights_sha256": sha256_of(weights_file(config.weights))} if first() else {})


if __name__ == "__main__":
    run(train)
