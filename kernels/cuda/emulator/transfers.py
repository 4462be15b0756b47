"""Instructions that move data between registers and memory, as the Python that a block runs for them."""

from typing import TYPE_CHECKING

import numpy as np

from .kinds import Unknown, dtype_of
from .parse import Instruction, elements

if TYPE_CHECKING:
    from .translate import Translator


def _space(i: Instruction) -> str:
    known = ("param", "global", "shared", "local", "const")
    found = next((x.split("::")[0] for x in i.op[1:] if x.split("::")[0] in known), "generic")
    return "global" if found == "const" else found


def emit_load(t: "Translator", i: Instruction) -> None:
    kind, targets = i.op[-1], elements(i.operands[0])
    if _space(i) == "param":
        offset = 0
        base = i.operands[1][1:-1].partition("+")
        for k, target in enumerate(targets):
            offset = int(base[2] or 0) + k * np.dtype(dtype_of(kind)).itemsize
            entry = f"[{base[0]}+{offset}]"
            if base[0] in dict(t.module.parameters):
                t.define(
                    target,
                    t.cached(f"m.argument({base[0]!r}, {offset}, {dtype_of(kind)!r})"),
                    dtype_of(kind),
                    alias=True,
                )
            else:
                t.define(target, t.value(t.parameter(entry, kind), kind), dtype_of(kind), alias=True)
        return
    loaded = t.fresh(f"m.load({t.n}, {_space(i)!r}, {t.address(i.operands[1])}, {dtype_of(kind)!r}, {len(targets)}, a)")
    for k, target in enumerate(targets):
        t.define(target, f"{loaded}[{k}]", dtype_of(kind))


def emit_store(t: "Translator", i: Instruction) -> None:
    kind, sources = i.op[-1], elements(i.operands[1])
    values = [t.value(x, kind) for x in sources]
    if _space(i) == "param":
        base = i.operands[0][1:-1].partition("+")
        for k, x in enumerate(values):
            offset = int(base[2] or 0) + k * np.dtype(dtype_of(kind)).itemsize
            t.define(t.parameter(f"[{base[0]}+{offset}]", kind), x, dtype_of(kind), alias=True)
        return
    t.lines.append(f"m.store({t.n}, {_space(i)!r}, {t.address(i.operands[0])}, ({', '.join(values)},), a)")


def emit_atomic(t: "Translator", i: Instruction) -> None:
    kind = "u" + i.op[-1][1:] if i.op[-1][0] == "b" else i.op[-1]
    known = ("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec")
    action = next(x for x in i.op[1:] if x in known) if any(x in known for x in i.op[1:]) else ""
    if not action or kind in ("f16", "bf16", "f16x2", "bf16x2"):
        raise Unknown
    o = i.operands if i.op[0] == "atom" else ["_", *i.operands]
    values = ", ".join(t.value(x, kind) for x in o[2:])
    old = t.fresh(f"m.atomic({t.n}, {_space(i)!r}, {t.address(o[1])}, {action!r}, ({values},), a)")
    t.define(o[0], old, dtype_of(kind))


def emit_window(t: "Translator", i: Instruction) -> None:
    to = next((x for x in ("global", "shared", "local", "const") if x in i.op), "global")
    x = t.value(i.operands[1], "u64")
    sign = "-" if "to" in i.op else "+"
    t.define(i.operands[0], f"{x} {sign} m.windows[{to!r}]", "u8")


def emit_call(t: "Translator", i: Instruction) -> None:
    if i.op[1] != "vprintf":
        t.lines.append(f"m.called({t.n}, {i.op[1]!r}, a)")
        return
    for result in i.operands:
        t.define(t.parameter(f"[{result}]", "b32"), "np.zeros(1, 'u4')", "u4")
