import numpy as np

from .case import EDGES, Bad, Case, Sample, normal

SHAPES = [(n,) for n in EDGES] + [(), (0,), (3, 5), (2, 3, 4), (40000,)]


def _tensors(seed, shapes=SHAPES, scale=1.0):
    return [normal(*shape, seed=seed, scale=scale) for shape in shapes]


def _lists(count, shapes=SHAPES):
    """Parameters, gradients, and what an optimiser keeps (not negative, as averages of squares are)."""
    kept = [[np.asarray(np.abs(x)) for x in _tensors(k, shapes, 0.1)] for k in range(2, count)]
    return [_tensors(0, shapes), _tensors(1, shapes), *kept]


def _adamw_samples():
    yield Sample(*_lists(4), step=1, lr=1e-3)
    yield Sample(*_lists(4), 7, 0.1, beta1=0.8, beta2=0.95, eps=1e-3, weight_decay=0.1, grad_scale=0.25)
    yield Sample(*_lists(4), step=10**6, lr=0, beta1=0.0, beta2=0.0, eps=1.0)
    yield Sample([], [], [], [], step=1, lr=1e-3)


def _sgd_samples():
    yield Sample(*_lists(3), 0.1)
    yield Sample(*_lists(3), 0.1, 0.9, 0.01, 2.0)
    yield Sample(*_lists(3), 0.03, 0.9, nesterov=True)
    yield Sample(*_lists(2), None, lr=0.1, weight_decay=0.5)


def _lion_samples():
    yield Sample(*_lists(3), 0.1)
    yield Sample(*_lists(3), lr=0.01, beta1=0.8, beta2=0.0, weight_decay=0.1, grad_scale=0.25)
    yield Sample([normal(4)], [np.zeros(4)], [np.zeros(4)], 0.1)
    yield Sample([], [], [], lr=1e-3)


def _norm_samples():
    yield Sample(_tensors(0))
    yield Sample(_tensors(1, [(3,)], 1e15))
    yield Sample([])


def _scale_samples():
    yield Sample(_tensors(0), 0.3)
    yield Sample(_tensors(0), 0)


def _read_only(x):
    x.flags.writeable = False
    return x


def _adamw_torch(torch, params, grads, exp_avgs, exp_avg_sqs, step, **numbers):
    from torch.optim.adamw import adamw

    steps = [torch.tensor(float(step - 1)) for _ in params]
    names = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0} | numbers
    adamw(params, grads, exp_avgs, exp_avg_sqs, [], steps, fused=True, amsgrad=False, maximize=False, **names)


MODEL = [(50304, 768)] + [(768, 768), (768, 3072), (768,)] * 12

CASES = {
    "adamw_": Case(
        samples=_adamw_samples,
        bad=[
            Bad(
                ValueError,
                "adamw_: grads: expected float64 (3,) as in the first list, got float64 (4,) at 0",
                [normal(3)],
                [normal(4)],
                [normal(3)],
                [normal(3)],
                1,
                0.1,
            ),
            Bad(
                ValueError,
                "adamw_: exp_avgs[1]: expected a writable C-contiguous array, to change in place, got one of shape "
                "(3, 2) that is not C-contiguous; use a copy of it",
                *([normal(2), normal(3, 2)] for _ in range(2)),
                [normal(2), normal(2, 3).T],
                [normal(2), normal(3, 2)],
                step=1,
                lr=0.1,
            ),
            Bad(
                TypeError,
                "adamw_: params: expected arrays of one dtype, got float64 at 0 and float32 at 1",
                *([normal(2), normal(2).astype("f4")] for _ in range(4)),
                step=1,
                lr=0.1,
            ),
            Bad(ValueError, "step: expected a whole number in [1, inf], got 0", [], [], [], [], 0, 0.1),
            Bad(ValueError, "beta2: expected a number in [0, 1), got 1", [], [], [], [], 1, 0.1, 0.9, 1.0),
            Bad(TypeError, "adamw_: params: expected a list of arrays, got ndarray", *[normal(3)] * 4, 1, 0.1),
        ],
        bench=lambda: [Sample(*_lists(4, MODEL), step=3, lr=1e-3)],
        torch=_adamw_torch,
    ),
    "sgd_": Case(
        samples=_sgd_samples,
        bad=[
            Bad(ValueError, "params[0]: expected a writable", [_read_only(normal(3))], [normal(3)], None, 0.1),
            Bad(ValueError, "that is read-only", [_read_only(normal(3))], [normal(3)], None, 0.1),
            Bad(ValueError, "momentum_buffers: expected a list as params", [normal(3)], [normal(3)], None, 0.1, 0.9),
            Bad(ValueError, "lr: expected a number in [0, inf], got -1", [], [], [], -1),
            Bad(ValueError, "nesterov: expected momentum above 0", [], [], [], 0.1, nesterov=True),
            Bad(ValueError, "sgd_: grads: expected 1 arrays as in the first list, got 0", [normal(3)], [], None, 0.1),
        ],
        bench=lambda: [Sample(*_lists(3, MODEL), 0.1, 0.9)],
    ),
    "lion_": Case(
        samples=_lion_samples,
        bad=[
            Bad(ValueError, "exp_avgs[0]: expected a writable", [normal(3)], [normal(3)], [_read_only(normal(3))], 0.1),
            Bad(ValueError, "beta1: expected a number in [0, 1), got 1", [], [], [], 0.1, 1.0),
        ],
        bench=lambda: [Sample(*_lists(3, MODEL), lr=1e-4)],
    ),
    "grad_norm": Case(
        samples=_norm_samples,
        bad=[
            Bad(TypeError, "grads: expected arrays of one dtype", [normal(2), normal(2).astype("f4")]),
            Bad(
                TypeError,
                "grad_norm: grads[1]: expected float32, float64 or bfloat16, got int64",
                [normal(2), np.ones(2, int)],
            ),
        ],
        bench=lambda: [Sample(_tensors(0, MODEL))],
        torch=lambda torch, grads: torch.nn.utils.get_total_norm(grads),
    ),
    "add_": Case(
        samples=lambda: [Sample(_tensors(0), _tensors(1)), Sample([normal(3)], [normal(3, seed=1)]), Sample([], [])],
        bad=[
            Bad(ValueError, "add_: arrays[0]: expected a writable", [_read_only(normal(3))], [normal(3)]),
            Bad(ValueError, "add_: others: expected float64 (3,)", [normal(3)], [normal(4)]),
        ],
        bench=lambda: [Sample(*_lists(2, MODEL))],
        torch=lambda torch, xs, ys: torch._foreach_add_(xs, ys),
    ),
    "scale_": Case(
        samples=_scale_samples,
        bad=[
            Bad(ValueError, "scale_: arrays[0]: expected a writable", [normal(2, 3).T], 0.5),
            Bad(ValueError, "scale_: factor: expected a number in [-inf, inf], got nan", [normal(2)], np.nan),
        ],
        bench=lambda: [Sample(_tensors(0, MODEL), 0.999)],
    ),
}
