"""Optimisers: how gradients change parameters."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..kernels import device, registry
from .module import Module
from .tensor import Tensor

__all__ = ["SGD", "AdamW", "Group", "Lion", "Muon", "Optimizer", "clip_grad_norm", "decay_groups"]


@dataclass
class Group:
    """Parameters that share a weight decay, and the learning rate if it is not the optimiser's."""

    params: list[Tensor]
    weight_decay: float | None = None
    lr: float | None = None


class _Given(NamedTuple):
    """What a step works on: lists that are alike, and numbers, of which the last three may be scalars of a device."""

    params: list[Any]
    grads: list[Any]
    state: list[list[Any]]
    copies: list[Any] | None
    weight_decay: float | None
    count: Any
    lr: Any
    grad_scale: Any


class Optimizer:
    """What all optimisers share: groups of parameters, arrays of state for each parameter, the count of steps.

    Of bfloat16 parameters it keeps masters in float32, which steps change and parameters are rounded from, or steps
    of less than a 256th of a parameter would change nothing; its other state is float32 then, too.

    Args:
        params: parameters, or groups of them.
        lr, weight_decay: for every group that has none of its own; `lr` may be changed between steps.

    Raises:
        ValueError: no parameters, one given twice, some of bfloat16 and some not, or a hyperparameter out of range.
    """

    slots: tuple[str, ...] = ()
    takes_scalars = True  # of a device, in `step`

    def __init__(self, params: Iterable[Any], lr: float, weight_decay: float):
        given = list(params)
        self.groups: list[Group] = given if given and isinstance(given[0], Group) else [Group(given)]
        self.lr = _at_least_zero("lr", lr)
        for group in self.groups:
            decay = weight_decay if group.weight_decay is None else group.weight_decay
            group.weight_decay = _at_least_zero("weight_decay", decay)
        self.params = [p for group in self.groups for p in group.params]
        if not self.params:
            raise ValueError("optimizer: expected parameters, got none")
        if len({id(p) for p in self.params}) < len(self.params):
            raise ValueError("optimizer: a parameter was given twice")
        self.step_count = 0
        self.has_masters = self.params[0].dtype == device.BFLOAT16
        if any((p.dtype == device.BFLOAT16) != self.has_masters for p in self.params):
            raise ValueError(
                "optimizer: expected parameters of one dtype, got bfloat16 and others; make two optimisers"
            )
        dtype = np.dtype(np.float32)
        self.state = {
            slot: [device.zeros(p.shape, dtype if self.has_masters else p.dtype, p.device) for p in self.params]
            for slot in self.slots
        }
        if self.has_masters:
            self.state["masters"] = [device.cast(p.data, dtype) for p in self.params]

    def step(self, grad_scale: Any = 1.0, *, lr: Any = None, count: Any = None) -> None:
        """Change every parameter that has a gradient, which counts `grad_scale` times.

        Args:
            grad_scale: a number, or a scalar on the device of the parameters, as are the following.
            lr: instead of the optimiser's.
            count: the number of this step, from 1, where `step_count` is not it: of work that is repeated.
        """
        self.step_count += 1
        count = self.step_count if count is None else count
        start = 0
        for group in self.groups:
            at = [start + i for i, p in enumerate(group.params) if p.grad is not None]
            start += len(group.params)
            if not at:
                continue
            params = [self.params[i] for i in at]
            state = [[self.state[slot][i] for i in at] for slot in self.slots]
            own, copies = [p.data for p in params], None
            if self.has_masters:
                own, copies = [self.state["masters"][i] for i in at], own
            rate = group.lr if group.lr is not None else self.lr if lr is None else lr
            grads = [p.grad for p in params]
            self._update(_Given(own, grads, state, copies, group.weight_decay, count, rate, grad_scale))
            for p in params:
                p.changed()

    def _update(self, x: _Given) -> None:
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.params:
            p.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """`step`, and the state arrays themselves (not copies) as `<slot>.<number of the parameter>`."""
        arrays = {f"{slot}.{i}": x for slot, xs in self.state.items() for i, x in enumerate(xs)}
        return {"step": self.step_count, **arrays}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`. Raises ValueError, and changes nothing, where it does not fit."""
        own = self.state_dict()
        faults = [f"missing {name}" for name in own if name not in state]
        faults += [f"unexpected {name}" for name in state if name not in own]
        for name in own.keys() & state.keys() - {"step"}:
            if np.shape(state[name]) != own[name].shape:
                faults.append(f"{name}: expected shape {own[name].shape}, got {np.shape(state[name])}")
        if type(state.get("step", 0)) is not int or state.get("step", 0) < 0:
            faults.append(f"step: expected an integer of at least 0, got {state['step']!r}")
        if faults:
            raise ValueError(
                f"optimizer: the state does not fit this {type(self).__name__}: {'; '.join(sorted(faults)[:20])}"
            )
        for name, array in own.items():
            if name != "step":
                device.copy(state[name], array)
        self.step_count = state["step"]


class AdamW(Optimizer):
    """Adam with decoupled weight decay: `kernels.adamw_`.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2.
    """

    slots = ("exp_avgs", "exp_avg_sqs")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        super().__init__(params, lr, weight_decay)
        self.betas = _betas(betas)
        self.eps = _at_least_zero("eps", eps)

    def _update(self, x: _Given) -> None:
        registry["adamw_"](
            x.params, x.grads, *x.state, x.count, x.lr, *self.betas, self.eps, x.weight_decay, x.grad_scale, x.copies
        )


class Lion(Optimizer):
    """Steps of one length in each coordinate: `kernels.lion_`.

    Source: Chen et al., Symbolic Discovery of Optimization Algorithms (2023), algorithm 2.
    """

    slots = ("exp_avgs",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ):
        super().__init__(params, lr, weight_decay)
        self.betas = _betas(betas)

    def _update(self, x: _Given) -> None:
        registry["lion_"](x.params, x.grads, *x.state, x.lr, *self.betas, x.weight_decay, x.grad_scale, x.copies)


class Muon(Optimizer):
    """Steps of matrices that turn all directions alike: `kernels.muon_`.

    Embeddings, biases, norms and the last layer are for another optimiser.

    Args:
        adjust_lr_fn: "original", or "match_rms_adamw" for a learning rate and weight decay that suit AdamW.

    Source: Jordan et al., Muon (2024).
    """

    slots = ("momentum_buffers",)
    takes_scalars = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
        nesterov: bool = True,
        adjust_lr_fn: str = "original",
    ):
        super().__init__(params, lr, weight_decay)
        self.momentum, self.nesterov, self.adjust_lr_fn = _momentum(momentum), nesterov, adjust_lr_fn
        if vectors := [p.shape for p in self.params if p.ndim < 2]:
            raise ValueError(f"Muon: expected matrices, got parameters of shape {vectors[0]}; give those to AdamW")

    def _update(self, x: _Given) -> None:
        registry["muon_"](
            x.params,
            x.grads,
            *x.state,
            x.lr,
            self.momentum,
            x.weight_decay,
            x.grad_scale,
            self.nesterov,
            self.adjust_lr_fn,
            copies=x.copies,
        )


class SGD(Optimizer):
    """Gradient descent, with momentum, Nesterov's or none: `kernels.sgd_`."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        self.momentum, self.nesterov = _momentum(momentum), nesterov
        if nesterov and not momentum:
            raise ValueError("nesterov: expected momentum above 0 to look ahead by, got 0")
        self.slots = ("momentum_buffers",) if momentum else ()
        super().__init__(params, lr, weight_decay)

    def _update(self, x: _Given) -> None:
        buffers = x.state[0] if x.state else None
        numbers = x.lr, self.momentum, x.weight_decay, x.grad_scale, self.nesterov
        registry["sgd_"](x.params, x.grads, buffers, *numbers, x.copies)


def decay_groups(model: Module, weight_decay: float) -> list[Group]:
    """Two groups: matrices, which decay, and biases and norms, which do not."""
    params = list(model.parameters())
    groups = [
        Group([p for p in params if p.ndim >= 2], weight_decay),
        Group([p for p in params if p.ndim < 2], 0.0),
    ]
    return [group for group in groups if group.params]


def clip_grad_norm(params: Iterable[Tensor], max_norm: float) -> tuple[float, float]:
    """(the norm of all gradients together, the factor that brings it down to `max_norm`, at most 1).

    The factor goes to `step(grad_scale)`, so that no gradient is rewritten. A norm that is not finite means that
    the step is to be skipped.

    Raises:
        ValueError: max_norm is not positive.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm: expected a positive number, got {max_norm}")
    grads = [p.grad for p in params if p.grad is not None]
    norm = device.to(registry["grad_norm"](grads), "cpu").item() if grads else 0.0
    return norm, max_norm / norm if norm > max_norm else 1.0


def _at_least_zero(name: str, value: float) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name}: expected a finite number of at least 0, got {value}")
    return value


def _betas(betas: tuple[float, float]) -> tuple[float, float]:
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas: expected two numbers in [0, 1), got {betas}")
    return betas


def _momentum(momentum: float) -> float:
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum: expected a number in [0, 1), got {momentum}")
    return momentum
