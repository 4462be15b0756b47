"""What each PTX instruction does, as the Python that a block runs for it."""

from typing import TYPE_CHECKING

from .collectives import emit_collective
from .kinds import Unknown, dtype_of
from .parse import Instruction, elements
from .transfers import emit_atomic, emit_call, emit_load, emit_store, emit_window

if TYPE_CHECKING:
    from .translate import Translator

_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_COMPARE |= {"lo": "<", "ls": "<=", "hi": ">", "hs": ">="}
_BITS = {"and": "&", "or": "|", "xor": "^"}
_MODES = ("rn", "rz", "rm", "rp")


def emit(t: "Translator", i: Instruction) -> None:
    """Write the lines of one instruction. Raises Unknown, KeyError or IndexError where it is not known."""
    name = i.op[0]
    if name in ("membar", "fence", "prefetch", "prefetchu", "griddepcontrol", "createpolicy", "nanosleep"):
        return
    if name in _TABLE:
        _TABLE[name](t, i)
    elif name in _SIMPLE:
        expression, signed = _SIMPLE[name]
        kind = i.op[-1] if signed or i.op[-1][0] == "f" or i.op[-1] == "pred" else "b" + i.op[-1][1:]
        _float(t, i, expression, kind)
    else:
        raise Unknown


def _float(t: "Translator", i: Instruction, expression: str, kind: str) -> None:
    """Registers of one type; .ftz and .sat where the instruction says so."""
    if kind in ("f16", "bf16", "f16x2", "bf16x2"):
        raise Unknown
    mode = next((m for m in _MODES if m in i.op), "rn")
    if mode != "rn" and kind[0] == "f":
        if kind != "f32" or i.op[0] not in ("add", "sub", "mul", "div", "fma", "sqrt", "rcp"):
            raise Unknown
        expression = {"sqrt": "np.sqrt({0})", "rcp": "(1 / {0})"}.get(i.op[0], expression)
    if "sat" in i.op and kind[0] != "f":
        raise Unknown
    names = [t.value(x, kind) for x in i.operands[1:]]
    if "ftz" in i.op:
        names = [t.cached(f"flush({x})") for x in names]
    if mode != "rn" and i.op[0] != "fma" and kind[0] == "f":
        names = [f"{x}.astype('f8')" for x in names]
        expression = f"narrow({expression}, {mode!r})"
    text = expression.format(*names, mode=mode)
    if "ftz" in i.op:
        text = f"flush({text})"
    if "sat" in i.op:
        text = f"saturate({text})"
    t.define(i.operands[0], text, dtype_of(kind))


def _mul(t: "Translator", i: Instruction) -> None:
    kind = i.op[-1]
    if kind[0] == "f":
        return _float(t, i, "{0} * {1}" if i.op[0] == "mul" else "fma({0}, {1}, {2}, {mode!r})", kind)
    if (i.op[0] in ("mul24", "mad24") and "lo" not in i.op) or "sat" in i.op:
        raise Unknown
    dtype = dtype_of(kind)
    a, b = (t.value(x, kind) for x in i.operands[1:3])
    if "wide" in i.op:
        dtype = dtype[0] + str(2 * int(dtype[1:]))
        product = f"{a}.astype({dtype!r}) * {b}.astype({dtype!r})"
    elif "hi" in i.op:
        product = f"mul_hi({a}, {b})"
    else:
        product = f"{a} * {b}"
    if i.op[0][:3] == "mad":
        c = t.value(i.operands[3], kind[0] + str(8 * int(dtype[1:])))
        if i.op[0] == "madc" or "cc" in i.op:
            return _carry(
                t, i, "add_carry", f"({product}).view('u{dtype[1:]}')", f"{c}.view('u{dtype[1:]}')", i.op[0] == "madc"
            )
        product = f"{product} + {c}"
    t.define(i.operands[0], product, dtype)


def _carry(t: "Translator", i: Instruction, function: str, a: str, b: str, takes: bool) -> None:
    t.kinds.setdefault("%cc", "?")
    carry = t.value("%cc", "pred") if takes else "None"
    pair = t.fresh(f"{function}({a}, {b}, {carry})")
    t.define(i.operands[0], f"{pair}[0]", "u" + str(int(i.op[-1][1:]) // 8))
    if "cc" in i.op:
        t.define("%cc", f"{pair}[1]", "?")


def _add(t: "Translator", i: Instruction) -> None:
    kind = i.op[-1]
    if i.op[0][-1] == "c" or "cc" in i.op:
        a, b = (t.value(x, "b" + kind[1:]) for x in i.operands[1:3])
        return _carry(t, i, "add_carry" if i.op[0][:3] == "add" else "sub_borrow", a, b, i.op[0][-1] == "c")
    sign = "+" if i.op[0] == "add" else "-"
    _float(t, i, f"{{0}} {sign} {{1}}", kind if kind[0] == "f" else "b" + kind[1:])


def _div(t: "Translator", i: Instruction) -> None:
    _float(t, i, "{0} / {1}" if i.op[-1][0] == "f" else "divide({0}, {1})", i.op[-1])


def _minmax(t: "Translator", i: Instruction) -> None:
    if i.op[-1][0] != "f":
        return _float(t, i, f"np.{i.op[0]}imum({{0}}, {{1}})", i.op[-1])
    _float(t, i, f"np.{i.op[0]}imum({{0}}, {{1}})" if "NaN" in i.op else f"np.f{i.op[0]}({{0}}, {{1}})", i.op[-1])


def _shift(t: "Translator", i: Instruction) -> None:
    kind = i.op[-1] if i.op[0] == "shr" else "b" + i.op[-1][1:]
    kind = kind.replace("b", "u")
    t.define(
        i.operands[0], f"{i.op[0]}({t.value(i.operands[1], kind)}, {t.value(i.operands[2], 'u32')})", dtype_of(kind)
    )


def _fields(t: "Translator", i: Instruction) -> None:
    """bfe, bfi, clz, popc, bfind, brev, shf, prmt, lop3: integers with uint32 positions."""
    kind, o = i.op[-1].replace("b", "u"), i.operands
    if i.op[0] == "bfe":
        t.define(o[0], f"bfe({t.value(o[1], kind)}, {t.value(o[2], 'u32')}, {t.value(o[3], 'u32')})", dtype_of(kind))
    elif i.op[0] == "bfi":
        a, b, p, n = t.value(o[1], kind), t.value(o[2], kind), t.value(o[3], "u32"), t.value(o[4], "u32")
        t.define(o[0], f"bfi({a}, {b}, {p}, {n})", dtype_of(kind))
    elif i.op[0] == "bfind":
        t.define(o[0], f"bfind({t.value(o[1], kind)}, {'shiftamt' in i.op})", "u4")
    elif i.op[0] == "shf":
        a, b, n = (t.value(x, "u32") for x in o[1:4])
        t.define(o[0], f"funnel({a}, {b}, {n}, {'l' in i.op}, {'clamp' in i.op})", "u4")
    elif i.op[0] == "prmt":
        if len(i.op) > 2:
            raise Unknown
        t.define(o[0], f"prmt({', '.join(t.value(x, 'u32') for x in o[1:4])})", "u4")
    elif i.op[0] == "lop3":
        t.define(o[0], f"lop3({', '.join(t.value(x, 'u32') for x in o[1:4])}, {int(o[4], 0)})", "u4")
    else:
        t.define(o[0], f"{i.op[0]}({t.value(o[1], kind)})", dtype_of(kind) if i.op[0] == "brev" else "u4")


def _compare(t: "Translator", i: Instruction) -> None:
    """setp and set, with unordered comparisons and a predicate combined into the result."""
    o = list(i.operands)
    name, kind = i.op[1], i.op[-1]
    combine = next((_BITS[x] for x in i.op[2:] if x in _BITS), "")
    predicate = t.value(o.pop(), "pred") if combine else ""
    kind = "u" + kind[1:] if kind[0] == "b" else kind
    a, b = t.value(o[-2], kind), t.value(o[-1], kind)
    if "ftz" in i.op:
        a, b = t.cached(f"flush({a})"), t.cached(f"flush({b})")
    if name in ("num", "nan"):
        text = f"{'~' if name == 'num' else ''}(np.isnan({a}) | np.isnan({b}))"
    elif kind[0] == "f" and name[-1] == "u" and name[:-1] in _COMPARE:
        opposite = {"eq": "!=", "lt": ">=", "le": ">", "gt": "<=", "ge": "<"}
        text = f"~(({a} < {b}) | ({a} > {b}))" if name == "equ" else f"~({a} {opposite.get(name[:-1], '==')} {b})"
    elif kind[0] == "f" and name == "ne":
        text = f"({a} < {b}) | ({a} > {b})"
    else:
        text = f"{a} {_COMPARE[name]} {b}"
    result = t.fresh(text)
    if i.op[0] == "set":
        result = t.fresh(f"({result}) {combine} {predicate}") if combine else result
        one = "np.float32(1), np.float32(0)" if "f32" in i.op[:-1] else "np.uint32(0xffffffff), np.uint32(0)"
        return t.define(o[0], f"np.where({result}, {one})", "f4" if "f32" in i.op[:-1] else "u4")
    t.define(o[0], f"({result}) {combine} {predicate}" if combine else result, "?")
    if len(o) == 4:
        t.define(o[1], f"(~{result}) {combine} {predicate}" if combine else f"~{result}", "?")


def _select(t: "Translator", i: Instruction) -> None:
    kind = i.op[-1]
    kind = "b" + kind[1:] if kind[0] == "s" else kind
    a, b = t.value(i.operands[1], kind), t.value(i.operands[2], kind)
    if i.op[0] == "slct":
        test = f"{t.value(i.operands[3], i.op[-1])} >= 0"
        kind = i.op[-2]
        a, b = t.value(i.operands[1], kind), t.value(i.operands[2], kind)
    else:
        test = t.value(i.operands[3], "pred")
    t.define(i.operands[0], f"np.where({test}, {a}, {b})", dtype_of(kind))


def _testp(t: "Translator", i: Instruction) -> None:
    x = t.value(i.operands[1], i.op[-1])
    tests = {"finite": "np.isfinite({0})", "infinite": "np.isinf({0})", "number": "~np.isnan({0})"}
    tests |= {"notanumber": "np.isnan({0})", "normal": "np.isfinite({0}) & (np.abs({0}) >= np.finfo({0}.dtype).tiny)"}
    tests["subnormal"] = "({0} != 0) & (np.abs({0}) < np.finfo({0}.dtype).tiny)"
    t.define(i.operands[0], tests[i.op[1]].format(x), "?")


def _move(t: "Translator", i: Instruction) -> None:
    kind, (to, source) = i.op[-1], i.operands
    if to[0] == source[0] == "{":
        raise Unknown
    if source[0] == "{":
        parts = elements(source)
        bits = int(kind[1:]) // len(parts)
        text = " | ".join(
            f"({t.value(p, f'b{bits}')}.astype('u{len(parts) * bits // 8}') << {k * bits})" for k, p in enumerate(parts)
        )
        t.define(to, text, f"u{len(parts) * bits // 8}")
    elif to[0] == "{":
        parts = elements(to)
        bits = int(kind[1:]) // len(parts)
        whole = t.value(source, kind.replace("f", "b"))
        for k, p in enumerate(parts):
            t.define(p, f"({whole} >> {k * bits}).astype('u{bits // 8}')", f"u{bits // 8}")
    else:
        kind = kind if kind[0] in "fp" else "b" + kind[1:]
        t.define(to, t.value(source, kind), dtype_of(kind), alias=True)


def _convert(t: "Translator", i: Instruction) -> None:
    to, source = i.op[-2], i.op[-1]
    mode = next((m for m in i.op if m in (*_MODES, "rni", "rzi", "rmi", "rpi")), "")
    o = i.operands
    if to in ("bf16x2", "f16x2"):
        pack = "to_bf16({})" if to == "bf16x2" else "{}.astype('f2').view('u2')"
        high, low = (pack.format(t.value(x, "f32")) for x in o[1:3])
        return t.define(o[0], f"{low}.astype('u4') | ({high}.astype('u4') << 16)", "u4")
    x = t.value(o[1], source)
    kind = dtype_of(to)
    if "ftz" in i.op and source == "f32":
        x = t.fresh(f"flush({x})")
    if to == "bf16":
        text = f"to_bf16({x})"
    elif source == "bf16":
        text = f"from_bf16({x})"
    elif to == "tf32":
        text = f"({x}.view('u4') + 0x1000) & np.uint32(0xffffe000)"
    elif source[0] == "f" and to[0] != "f":
        text = f"to_integer({x}, {kind!r}, {mode!r})"
    elif source[0] == "f":
        text = f"ROUND[{mode!r}]({x})" if mode[2:] else x
        if to == "f32" and source == "f64" and mode in ("rz", "rm", "rp"):
            text = f"narrow({x}, {mode!r})"
        text = f"({text}).astype({kind!r})"
    elif to[0] == "f":
        exact = to == "f64" or mode in ("rn", "")
        text = f"{x}.astype({kind!r})" if exact else f"narrow({x}.astype('f8'), {mode!r})"
    else:
        text = f"clamp_integer({x}, {kind!r})" if "sat" in i.op else f"{x}.astype({kind!r})"
    if "ftz" in i.op and to == "f32":
        text = f"flush({text})"
    if "sat" in i.op and to[0] == "f":
        text = f"saturate({text})"
    t.define(o[0], text, kind)


_SIMPLE = {  # the expression, and whether the sign of the type matters
    "and": ("{0} & {1}", False),
    "or": ("{0} | {1}", False),
    "xor": ("{0} ^ {1}", False),
    "not": ("~{0}", False),
    "cnot": ("np.where({0} == 0, {0}.dtype.type(1), {0}.dtype.type(0))", False),
    "neg": ("-{0}", True),
    "abs": ("np.abs({0})", True),
    "rem": ("remainder({0}, {1})", True),
    "sad": ("np.where({0} > {1}, {0} - {1}, {1} - {0}) + {2}", True),
    "copysign": ("np.copysign({1}, {0})", True),
    "fma": ("fma({0}, {1}, {2}, {mode!r})", True),
    "sqrt": ("np.sqrt({0})", True),
    "rcp": ("approximate('rcp', {0})", True),
} | {name: (f"approximate({name!r}, {{0}})", True) for name in ("rsqrt", "ex2", "lg2", "sin", "cos", "tanh")}
_FAMILIES = {
    _add: "add addc sub subc",
    _mul: "mul mad madc mul24 mad24",
    _div: "div",
    _minmax: "min max",
    _shift: "shl shr",
    _fields: "bfe bfi bfind clz popc brev shf prmt lop3",
    _compare: "setp set",
    _select: "selp slct",
    _testp: "testp",
    _move: "mov",
    _convert: "cvt",
    emit_window: "cvta",
    emit_load: "ld ldu",
    emit_store: "st",
    emit_atomic: "atom red",
    emit_call: "call",
    emit_collective: "shfl vote redux activemask ldmatrix mma cp bar trap",
}
_TABLE = {name: family for family, names in _FAMILIES.items() for name in names.split()}
