"""Several optimisers as one, and the one that a training configuration names."""

from typing import Any

from .config import TrainConfig
from .models import LanguageModel
from .optim import SGD, AdamW, Lion, Muon, Optimizer, decay_groups

__all__ = ["Joint", "optimizer_for"]


class Joint(Optimizer):
    """Optimisers of different parameters that step together and share the learning rate.

    Raises:
        ValueError: no optimisers, or a parameter that two of them have.
    """

    takes_scalars = False

    def __init__(self, *optimizers: Optimizer):
        self.optimizers = optimizers
        super().__init__([p for o in optimizers for p in o.params], optimizers[0].lr if optimizers else 0.0, 0.0)
        self.state = {}  # each keeps its own

    def step(self, grad_scale: Any = 1.0, *, lr: Any = None, count: Any = None) -> None:
        self.step_count += 1
        for optimizer in self.optimizers:
            optimizer.lr = self.lr
            optimizer.step(grad_scale, lr=lr, count=count)

    def state_dict(self) -> dict[str, Any]:
        """`step`, and the arrays of all, each name after the optimiser's number."""
        states = [(i, *item) for i, o in enumerate(self.optimizers) for item in o.state_dict().items()]
        return {"step": self.step_count} | {f"{i}.{name}": x for i, name, x in states if name != "step"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for optimizer in self.optimizers:
            optimizer.step_count = self.step_count


def optimizer_for(model: LanguageModel, config: TrainConfig) -> Optimizer:
    """The optimiser that `config.optimizer` names, with weight decay on matrices only.

    Muon takes the matrices of the blocks, at AdamW's learning rate; embeddings, the last layer, biases and norms are
    AdamW's.

    Raises:
        ValueError: Muon, for a model without such matrices.
    """
    groups = decay_groups(model, config.weight_decay)
    if config.optimizer == "lion":
        return Lion(groups, config.lr, config.betas)
    if config.optimizer == "sgd":
        return SGD(groups, config.lr, momentum=config.betas[0], nesterov=config.betas[0] > 0)
    if config.optimizer == "adamw":
        return AdamW(groups, config.lr, config.betas, config.eps)
    inner = [p for block in model.h for p in block.parameters() if p.ndim == 2]
    if not inner:
        raise ValueError(f"muon: the blocks of this {type(model).__name__} have no matrices to train; take adamw")
    known = set(map(id, inner))
    for group in groups:
        group.params = [p for p in group.params if id(p) not in known]
    matrices = Muon(
        inner, config.lr, config.betas[0], config.weight_decay, nesterov=True, adjust_lr_fn="match_rms_adamw"
    )
    return Joint(matrices, AdamW([g for g in groups if g.params], config.lr, config.betas, config.eps))
