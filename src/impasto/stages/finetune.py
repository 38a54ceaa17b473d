"""Fine-tune each trained classifier by gradual unfreezing."""

from __future__ import annotations

from impasto.checkpoint import Resume
from impasto.config.finetune import Finetune
from impasto.config.mix import Mix
from impasto.config.train import Train
from impasto.finetuning import phases
from impasto.models.saved import load_model, save_model
from impasto.rng import key
from impasto.runtime import device, first
from impasto.stages.classifier import Inputs, every_seed, logger
from impasto.stages.command import PARAMS, In, Out, Params, command, run, stage
from impasto.stages.together import together
from impasto.training import Trained, fit


@command
@together
def finetune(
    images: In,
    split: In,
    pool: In,
    synthetic: In,
    style: In,
    base: In,
    out: Out,
    metrics: Out,
    curve: Out,
    timing: Out,
    params: Params = PARAMS,
) -> None:
    """Write one fine-tuned model per seed, its numbers and its training curve."""
    given = {"images": images, "split": split, "pool": pool, "synthetic": synthetic, "style": style, "base": base}
    with stage("finetune", params, timing, **given) as this:
        inputs, unfreezing, settings = Inputs(this), this.load(Finetune), this.load(Train)
        mix = this.load(Mix).last()  # a schedule counts the epochs of training; this goes on with what it ended with

        def one(seed: int, resume: Resume) -> Trained:
            model, config, classes = load_model(base / str(seed), device())
            feed = inputs.feed(key(seed, "finetune"), resume.folder, mix, unfreezing.copies)
            found = fit(
                model,
                feed,
                inputs.validation,
                phases(unfreezing),
                settings,
                purpose=f"finetune, seed {seed}",
                resume=resume,
                on_epoch=logger(this, seed),
                selection=unfreezing.selection,
            )
            if first():
                save_model(out / str(seed), model, config, classes, seed=seed)
                if feed.drawn:
                    inputs.write_copies(out / str(seed) / "copies.csv", feed.drawn)
            return found

        every_seed(this, one, metrics, curve)


if __name__ == "__main__":
    run(finetune)
