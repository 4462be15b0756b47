"""A training that is killed, in a process forked from a server that has imported all and run no kernel."""

import os
from pathlib import Path

import numpy as np

from octavo.kernels import device
from octavo.kernels.cpu import ids
from octavo.kernels.files import remove_unfinished
from octavo.nn import GPT, GPTConfig, random
from octavo.nn.callback import Callback
from octavo.nn.config import TrainConfig
from octavo.nn.trainer import Trainer

# Many weights and little to compute, so that most of the time goes into saving.
SHAPE = GPTConfig(vocab_size=16384, context=8, layers=1, heads=2, width=64, dropout=0.1)
TOKENS = np.random.default_rng(0).integers(0, SHAPE.vocab_size, 2000).astype(np.uint16)


# Numba's start-up takes longer than the training, so the server goes through it. A parallel kernel would start threads.
ids._check_kernel.compile(None)


class _Reported(Callback):
    """A line in a file for each checkpoint, once it is said to be safe."""

    def __init__(self, path: Path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def on_save(self, trainer, path):
        os.write(self.file, b"%d\n" % trainer.step)


def train(folder: Path, steps: int, save_every: int) -> None:
    """Trains up to so many steps, from the checkpoint if there is one; the weights depend on nothing else."""
    config = TrainConfig(
        steps=steps, batch_size=2, schedule="constant", warmup=0, eval_every=0, save_every=save_every, seed=3
    )
    device.threads(1)
    random.seed(config.seed)
    trainer = Trainer(
        GPT(SHAPE),
        config,
        TOKENS,
        checkpoint_path=folder / "checkpoint.safetensors",
        callbacks=[_Reported(folder / "reported")],
    )
    trainer.resume()
    remove_unfinished(folder)
    trainer.fit()
