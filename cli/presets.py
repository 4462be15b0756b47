"""Recipes: where `octavo train` starts from when options are left out."""

from typing import Any

__all__ = ["BIGRAM", "BUDGETS", "DEFAULT", "PRESETS", "STANDARD_LIBRARY", "settings"]

DEFAULT = "quick"
STANDARD_LIBRARY = "the Python standard library"  # what a run calls its source where none is given

_GPT: dict[str, Any] = {"layers": 4, "heads": 4, "width": 128, "dropout": 0.0, "bias": False}
_LLAMA: dict[str, Any] = {"activation": "swiglu", "norm": "rms", "positions": "rotary"}
BIGRAM: dict[str, Any] = {"lr": 0.05}  # of a table every row learns alone, and only when its token comes
_COMMON: dict[str, Any] = _GPT | {
    "model": "gpt",
    "accumulate": 1,
    "schedule": "cosine",
    "betas": (0.9, 0.99),
    "weight_decay": 0.1,
    "clip": 1.0,
    "precision": "medium",
    "sample_every": 0,
    "seed": 1337,
    "val_fraction": 0.1,
}

PRESETS: dict[str, dict[str, Any]] = {
    # About two minutes on two processor cores.
    "quick": _COMMON
    | {
        "tokenizer": "bpe",
        "vocab_size": 1024,
        "context": 128,
        "minutes": 1.6,
        "batch_size": 16,
        "lr": 2e-3,
        "warmup": 50,
        "eval_every": 100,
        "eval_batches": 10,
        "save_every": 100,
    },
    # nanoGPT's recipe for a processor.
    "nano": _COMMON
    | {
        "tokenizer": "chars",
        "context": 64,
        "steps": 2000,
        "batch_size": 12,
        "lr": 1e-3,
        "warmup": 100,
        "eval_every": 250,
        "eval_batches": 20,
        "save_every": 250,
    },
}

# The same in Llama's style, with as many weights in each MLP.
PRESETS["llama"] = PRESETS["quick"] | _LLAMA

BUDGETS = ("steps", "minutes")


def settings(preset: str, given: dict[str, Any]) -> dict[str, Any]:
    """All settings of a run: those given, and for the rest the preset's, as far as they go together.

    A model that is given and no GPT has the sizes that its configuration says, and a bigram its own learning rate.
    A budget that is given takes the place of the preset's, a tokenizer that of its vocabulary; the warm-up is at most
    a tenth of the steps, and the learning rate ends at a tenth of its peak.

    Raises:
        ValueError: a preset of another model than the one given.
    """
    base = dict(PRESETS[preset])
    if given.get("model", "gpt") != "gpt":
        if not base.keys().isdisjoint(_LLAMA):
            raise ValueError(f"the preset {preset} is one of a gpt; leave out --preset, or --model {given['model']}")
        base = {name: value for name, value in base.items() if name not in _GPT}
        base |= BIGRAM if given["model"] == "bigram" else {}
    if not given.keys().isdisjoint(BUDGETS):
        base = {name: value for name, value in base.items() if name not in BUDGETS}
    if given.get("tokenizer", base["tokenizer"]) != "bpe":
        base.pop("vocab_size", None)
    elif "vocab_size" not in base:
        base["vocab_size"] = PRESETS[DEFAULT]["vocab_size"]
    if given.get("steps"):
        base["warmup"] = min(base["warmup"], given["steps"] // 10)
    return {"min_lr": given.get("lr", base["lr"]) / 10, **base, **given}
