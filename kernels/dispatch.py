"""The registry of operations: what an op is, what is checked before it runs, and which backend runs it.

The body of a public function in `ops/` is its NumPy reference; `@op` makes a dispatcher of it:

    @op("S... V -> S... V", backward="softmax_backward")
    def softmax(x: Floats) -> Floats: ...

The shape string has a term for each array argument, then for each output. A capital letter is a size, the same
wherever it stands; `S...` any number of sizes, the same wherever it stands; a bare `...` broadcasts; `*P` is a list
of arrays; `R...` that appears only on the right depends on parameters; `()` is a single number. Annotations say the
rest: `Floats`, `Ints` and `Bools` are arrays, `Arrays` of any kind, `Constants` and `Targets` those of which the op
gives no gradient, `Sums` losses and statistics; `Floats | None` may be left out, `Literal` and `Interval` bound a
parameter, and one that may be a `Scalar` too is taken from a device that the host does not wait for; no range is
checked there.

What is saved for the backward pass is what the backward op asks for by name, beyond one `d<name>` per output:
inputs, outputs, parameters, `<input>_shape` (of a list: a list), or what the op computes on the side (`saves=`), in
which case its body and its kernels take a last parameter `save` and return those values after the outputs (None where
save is false).

All floats of a call have one dtype, that of their promotion in NumPy, but for `Sums` and `Doubles`. In bfloat16 an op
returns bfloat16, and float32 where it is annotated to return `Sums` or where its backward op asks for such. Kernels of
CUDA take bfloat16 as its bits, and add in float32. Those of the CPU never see it, nor those that a module of CUDA
lists in `WIDENED`: their arguments are widened to float32 and their results rounded.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from importlib import import_module
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from . import device
from .bfloat16 import accumulator, cast_floats, run_in_bfloat16
from .device import BFLOAT16, is_float
from .signature import (
    ONE,
    Array,
    BFloats,
    Sums,
    array_argument,
    describe,
    filled,
    is_discrete,
    match,
    may_be_scalar,
    rule_of,
)

registry: dict[str, "Op"] = {}
_watches: list[Callable[..., Any]] = []


@contextmanager
def watching(watch: Callable[..., Any]) -> Iterator[None]:
    """Within, every op runs through `watch(op, run, *arguments)`, which returns what `run(*arguments)` does.

    Arguments and results are those of the op's body: `save` and what is saved on the side belong to them.
    """
    _watches.append(watch)
    try:
        yield
    finally:
        _watches.remove(watch)


def is_watched() -> bool:
    """Whether ops run within `watching`."""
    return bool(_watches)


class Op:
    """A public operation: callable like its reference, on the arrays of any backend."""

    def __init__(
        self,
        body: Callable[..., Any],
        shape: str,
        *,
        backward: str | None,
        backward_of: str | None,
        no_gradient: str | None,
        saves: str,
        rounds: str,
        outputs: str,
        view: bool,
        check: Callable[..., None] | None,
    ):
        self.reference = body
        self.name = body.__name__
        self.family = body.__module__.rpartition(".")[2]
        self.shape = shape
        self.backward_name, self.backward_of, self.no_gradient = backward, backward_of, no_gradient
        self.saves, self.rounds = tuple(saves.split()), frozenset(rounds.split())
        self.view = view
        self.in_place = self.name.endswith("_")
        self._check_more = check
        self._parse(body, shape)
        names = outputs.split() if outputs else ["out"] * (len(self.output_terms) == 1)
        self.outputs = tuple(names)
        self._validate()
        self.__name__ = self.name
        self.__qualname__ = body.__qualname__
        self.__module__ = body.__module__
        self.__doc__ = body.__doc__
        self.__wrapped__ = body

    def __repr__(self) -> str:
        return f"<op {self.name}: {self.shape}>"

    def _parse(self, body: Callable[..., Any], shape: str) -> None:
        left, arrow, right = shape.partition("->")
        if not arrow:
            raise TypeError(f"op {self.name}: expected a shape string with '->', got {shape!r}")
        terms = [tuple(t.split()) for t in left.split(",")]
        self.output_terms = [tuple(t.split()) for t in right.split(",")] if right.strip() else []
        hints = get_type_hints(body, include_extras=True)
        parameters = list(inspect.signature(body).parameters.values())
        self.takes_save = bool(self.saves)
        if self.takes_save and parameters[-1].name != "save":
            raise TypeError(f"op {self.name}: saves {self.saves}, so its last parameter must be `save`")
        public = parameters[:-1] if self.takes_save else parameters
        self.arrays = [array_argument(p, hints[p.name], term) for p, term in zip(public, terms, strict=False)]
        if len(self.arrays) != len(terms):
            raise TypeError(f"op {self.name}: {len(terms)} shape terms for {len(public)} arguments")
        self.parameters = [p.name for p in public[len(terms) :]]
        self.names = [p.name for p in public]
        self._position = {name: i for i, name in enumerate(self.names)}
        self._defaults = [p.default for p in public]
        self._required = sum(p.default is inspect.Parameter.empty for p in public)
        self._rules = [
            (len(terms) + i, name, rule, may_be_scalar(hints[name]))
            for i, name in enumerate(self.parameters)
            if (rule := rule_of(hints[name])) is not None
        ]
        self.__signature__ = inspect.Signature(public, return_annotation=hints.get("return"))
        self.differentiable = [a.name for a in self.arrays if a.kind in ("float", "any")]
        returned = hints.get("return")
        self.discrete = is_discrete(returned)
        self._returned = get_args(returned) if get_origin(returned) is tuple else (returned,)

    def _validate(self) -> None:
        words = [w is not None for w in (self.backward_name, self.backward_of, self.no_gradient)]
        if sum(words) != 1:
            raise TypeError(
                f"op {self.name}: expected exactly one of backward='<op>', backward_of='<op>' or "
                "no_gradient='<why there is none>'"
            )
        if len(self.outputs) != len(self.output_terms):
            raise TypeError(f"op {self.name}: expected outputs='…' to name {len(self.output_terms)} outputs")

    @cached_property
    def backward(self) -> "Op":
        """The op that computes the gradients of this one."""
        return registry[self.backward_name or ""]

    @cached_property
    def wanted(self) -> tuple[str, ...]:
        """Names of what the backward op takes after the output gradients."""
        return tuple(self.backward.names[len(self.outputs) :])

    def _kept(self, args: Sequence[Any], values: Sequence[Any]) -> tuple[Any, ...]:
        """`wanted`, of all arguments and all that the body returned."""
        known = [*args, *values]
        return tuple([_shape(known[i]) if of_shape else known[i] for i, of_shape in self._sources])

    @cached_property
    def _sources(self) -> list[tuple[int, bool]]:
        """Of each of `wanted`: its position in arguments and what the body returns, and if its shape is meant."""
        at = {name: i for i, name in enumerate([*self.names, *self.outputs, *self.saves])}
        return [(at[n], False) if n in at else (at[n.removesuffix("_shape")], True) for n in self.wanted]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs: one, or a tuple as right of the arrow."""
        return self.forward(*args, save=False, **kwargs)[0]

    def forward(self, *args: Any, save: bool = True, **kwargs: Any) -> tuple[Any, tuple[Any, ...]]:
        """(outputs, what `backward` takes after the output gradients; empty if `save` is false)."""
        bound = self._bind(args, kwargs)
        backend, narrow = self._checked(bound)
        run = self._choose(backend)
        if narrow and not self.view:
            run = partial(run_in_bfloat16, self, run, backend)
        for watch in _watches:
            run = partial(watch, self, run)
        results = run(*bound, save) if self.takes_save else run(*bound)
        if not save or self.backward_name is None:
            if self.takes_save:
                results = results[: len(self.outputs)]
                return (results[0] if len(results) == 1 else results), ()
            return results, ()
        values = results if isinstance(results, tuple) else (results,)
        saved = self._kept(bound, values)
        values = values[: len(self.outputs)]
        return (values[0] if len(values) == 1 else values), saved

    def _bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        if len(args) > len(self.names):
            raise TypeError(f"{self.name}: expected at most {len(self.names)} arguments, got {len(args)}")
        bound = [*args, *self._defaults[len(args) :]]
        if not kwargs and len(args) >= self._required:
            return bound
        for name, value in kwargs.items():
            i = self._position.get(name, -1)
            if i < 0:
                raise TypeError(f"{self.name}: unknown argument {name!r}; it takes {', '.join(self.names)}")
            if i < len(args):
                raise TypeError(f"{self.name}: argument {name!r} given twice")
            bound[i] = value
        for i in range(len(args), len(bound)):
            if bound[i] is inspect.Parameter.empty:
                raise TypeError(f"{self.name}: missing argument {self.names[i]!r}")
        return bound

    def _checked(self, args: list[Any]) -> tuple[str, bool]:
        """`_check`, but for what has passed it before: a program calls an op with the same shapes again and again."""
        try:
            arrays = device.BACKENDS
            key = tuple([(x.__class__, (x.shape, x.dtype) if x.__class__ in arrays else x) for x in args])  # type: ignore
            found = self._passed.get(key)
        except TypeError:  # a list
            return self._check(args)
        if found is None:
            given = list(args)
            found = self._check(args)
            if all(x is y for x, y in zip(args, given, strict=True)):
                if len(self._passed) > 1000:
                    self._passed.clear()
                self._passed[key] = found
        return found

    def _check(self, args: list[Any]) -> tuple[str, bool]:
        """Check what metadata show, and bring floats to one dtype; returns the backend, and if that is bfloat16."""
        sizes: dict[str, Any] = {}
        backend = ""
        dtypes: set[np.dtype] = set()
        sums: set[np.dtype] = set()
        for i, array in enumerate(self.arrays):
            x = args[i]
            if (x is None and array.optional) or (x is ONE and array.takes_one):
                continue
            if array.is_list:
                backend = self._check_list(array, x, sizes, backend)
                dtypes.update(y.dtype for y in x if is_float(y.dtype))
                continue
            where = "cpu" if type(x) is np.ndarray else self._device(array.name, x)
            if backend and where != backend:
                raise ValueError(
                    f"{self.name}: {array.name} is on {where} and an earlier argument on {backend}; "
                    "move one with .to(device)"
                )
            backend = where
            if not array.takes(x.dtype):
                self._fail(array, sizes, x)
            if is_float(x.dtype) and array.kind != "float64":
                (sums if array.kind == "sum" else dtypes).add(x.dtype)
            known = len(sizes)
            if not match(array.term, x.shape, sizes):
                self._fail(array, dict([*sizes.items()][:known]), x)
        for i, name, rule, is_scalar in self._rules:
            if is_scalar and device.is_array(args[i]):
                args[i], backend = self._scalar(name, args[i], rule.whole, backend)
                if backend != "cpu":
                    continue
            if args[i] not in rule and not (args[i] is None and self._defaults[i] is None):
                raise ValueError(f"{self.name}: {name}: expected {describe(rule)}, got {args[i]!r}")
        if self._check_more is not None:
            self._check_more(*args)
        if BFLOAT16 in sums or (dtypes and not self.in_place and len(dtypes | sums) > 1):
            self._promote(args, dtypes)
            dtypes = {np.result_type(*dtypes)} if dtypes else dtypes
        return backend, BFLOAT16 in dtypes

    def _scalar(self, name: str, x: Any, whole: bool, backend: str) -> tuple[Any, str]:
        """A parameter given as an array of no axes, which becomes a number on the CPU; and the backend."""
        where = self._device(name, x)
        if backend and where != backend:
            raise ValueError(f"{self.name}: {name} is on {where} and an earlier argument on {backend}")
        dtype = np.dtype(np.int64 if whole else np.float64)
        if x.ndim or x.dtype != dtype:
            raise TypeError(
                f"{self.name}: {name}: expected a number, or an array of {dtype} with no axes, got {x.dtype} {x.shape}"
            )
        return (x.item() if where == "cpu" else x), where

    def _check_list(self, array: Array, xs: Any, sizes: dict[str, Any], backend: str) -> str:
        if not isinstance(xs, (list, tuple)):
            raise TypeError(f"{self.name}: {array.name}: expected a list of arrays, got {type(xs).__name__}")
        shapes = []
        for i, x in enumerate(xs):
            where = self._device(f"{array.name}[{i}]", x)
            if backend and where != backend:
                raise ValueError(f"{self.name}: {array.name}[{i}] is on {where}, other arguments on {backend}")
            backend = where
            if not array.takes(x.dtype):
                raise TypeError(f"{self.name}: {array.name}[{i}]: expected {array.dtypes}, got {x.dtype} {x.shape}")
            shapes.append((x.shape, accumulator(x.dtype) if self.in_place else x.dtype))
        expected = sizes.setdefault(array.term[0], shapes)
        if shapes != expected:
            k = next((k for k, (a, b) in enumerate(zip(shapes, expected, strict=False)) if a != b), None)
            got = f"{len(shapes)} arrays" if k is None else f"{shapes[k][1]} {shapes[k][0]} at {k}"
            want = f"{len(expected)} arrays" if k is None else f"{expected[k][1]} {expected[k][0]}"
            raise ValueError(f"{self.name}: {array.name}: expected {want} as in the first list, got {got}")
        return backend

    def _device(self, name: str, x: Any) -> str:
        try:
            return device.of(x)
        except TypeError as error:
            raise TypeError(f"{self.name}: {name}: {error}") from None

    def _promote(self, args: list[Any], dtypes: set[np.dtype]) -> None:
        dtype = np.result_type(*dtypes) if dtypes else np.dtype(np.float32)
        for i, array in enumerate(self.arrays):
            if array.kind != "float64":
                args[i] = cast_floats(args[i], accumulator(dtype) if array.kind == "sum" else dtype)

    @cached_property
    def wide(self) -> list[bool]:
        """Of each output, then of what is saved on the side: whether it stays as it is where arguments are bfloat16."""
        kinds = {a.name: a.kind for a in self.backward.arrays} if self.backward_name else {}
        outputs = [hint in (Sums, BFloats) for hint in self._returned[: len(self.outputs)]]
        return outputs + [kinds[name] in ("sum", "float64") for name in self.saves]

    @cached_property
    def widened(self) -> bool:
        """Whether its kernel for CUDA does not take bfloat16."""
        return self.name in getattr(import_module(f".cuda.{self.family}", __package__), "WIDENED", ())

    def _fail(self, array: Array, sizes: dict[str, Any], x: Any) -> None:
        term = " ".join(filter(None, (filled(t, sizes) for t in array.term)))
        error = ValueError if array.takes(x.dtype) else TypeError
        expected = f"{array.dtypes} of shape ({term})"
        raise error(f"{self.name}: {array.name}: expected {expected}, got {x.dtype} {tuple(x.shape)}")

    def _choose(self, backend: str) -> Callable[..., Any]:
        if self.view:
            return self.reference
        backend = backend or "cpu"
        return self._run_reference if device.REFERENCE_ONLY and backend == "cpu" else self.kernel(backend)

    def _run_reference(self, *args: Any) -> Any:
        """The body; NumPy's scalars become arrays of no axes, as backends return them."""
        results = self.reference(*args)
        return tuple(map(_array_of, results)) if isinstance(results, tuple) else _array_of(results)

    def kernel(self, backend: str) -> Callable[..., Any]:
        """This op's function in a backend: the one of the same name in the file of the same name."""
        found = self._kernels.get(backend)
        if found is None:
            module = import_module(f".{backend}.{self.family}", __package__)
            if reason := getattr(module, "LACKS", {}).get(self.name):
                raise NotImplementedError(f"{self.name}: not on {backend}: {reason}; use arrays on the CPU")
            found = self._kernels[backend] = getattr(module, self.name)
        return found

    @cached_property
    def _passed(self) -> dict[Any, tuple[str, bool]]:
        return {}

    @cached_property
    def _kernels(self) -> dict[str, Callable[..., Any]]:
        return {}


def op(
    shape: str,
    *,
    backward: str | None = None,
    backward_of: str | None = None,
    no_gradient: str | None = None,
    saves: str = "",
    rounds: str = "",
    outputs: str = "",
    view: bool = False,
    check: Callable[..., None] | None = None,
) -> Callable[[Callable[..., Any]], Op]:
    """Enter a function in the registry (see the module's docstring).

    Args:
        shape: terms of array arguments, an arrow, terms of outputs.
        backward, backward_of, no_gradient: exactly one: the name of the backward op, of the op that this one is the
            backward of, or a sentence that says why there is no gradient.
        saves: names of what is computed on the side for the backward op.
        rounds: names of what the backward op takes that may be rounded to bf16 where products are: what enters
            products only, or stands it as well.
        outputs: names of the outputs where there are several; a single one is `out`.
        view: the body works on the arrays of every backend and copies nothing: no kernels.
        check: called with all arguments, raises ValueError where they do not fit together.
    """

    def enter(body: Callable[..., Any]) -> Op:
        made = Op(
            body,
            shape,
            backward=backward,
            backward_of=backward_of,
            no_gradient=no_gradient,
            saves=saves,
            rounds=rounds,
            outputs=outputs,
            view=view,
            check=check,
        )
        if made.name in registry:
            raise TypeError(f"op {made.name}: already in the registry, from {registry[made.name].__module__}")
        registry[made.name] = made
        return made

    return enter


def seal() -> None:
    """Check that forward and backward ops name each other and that their arguments fit; called once all are in."""
    for made in registry.values():
        if made.backward_of is not None:
            forward = registry.get(made.backward_of)
            if forward is None or forward.backward_name != made.name:
                raise TypeError(f"op {made.name}: is the backward of {made.backward_of!r}, which does not say so")
        if made.backward_name is None:
            continue
        if made.backward_name not in registry or registry[made.backward_name].backward_of != made.name:
            raise TypeError(f"op {made.name}: its backward op {made.backward_name!r} is missing or not its own")
        gradients = [f"d{name}" for name in made.outputs]
        if made.backward.names[: len(gradients)] != gradients:
            raise TypeError(f"op {made.backward.name}: expected its first arguments to be {', '.join(gradients)}")
        known = {*made.names, *made.outputs, *made.saves, *(f"{n}_shape" for n in made.names)}
        if unknown := [name for name in [*made.wanted, *made.rounds] if name not in known]:
            raise TypeError(f"op {made.backward.name}: {made.name} has nothing called {', '.join(unknown)} to save")
        if len(made.backward.outputs) != len(made.differentiable):
            raise TypeError(
                f"op {made.backward.name}: expected a gradient for each of {', '.join(made.differentiable)}, "
                f"got {len(made.backward.outputs)} outputs"
            )


def _shape(x: Any) -> Any:
    return [a.shape for a in x] if isinstance(x, (list, tuple)) else x.shape


def _array_of(x: Any) -> Any:
    return np.asarray(x) if isinstance(x, np.generic) else x
