"""PTX text to a flat list of instructions: functions are put in place of their calls, scopes are gone.

Parameters of a function become registers of their own (`param0+8:8` is 8 bytes at offset 8), so that a call needs no
stack. A predicated instruction becomes a jump around it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

SIZES = {"8": 1, "16": 2, "32": 4, "64": 8}
_LABEL = re.compile(r"([\w$]+)\s*:(?!:)\s*")
_INSTRUCTION = re.compile(r"(?:@(!?)\s*([%\w$]+)\s+)?([\w.:]+)\s*(.*)$", re.S)
_VARIABLE = re.compile(
    r"\.(global|const|shared|local)\s+(?:\.align\s+(\d+)\s+)?(?:\.v(\d)\s+)?\.(\w+)\s+([\w$]+)((?:\[\d*\])*)(?:\s*=\s*(.*))?$",
    re.S,
)


@dataclass
class Instruction:
    op: list[str]
    operands: list[str]
    text: str
    line: int = 0


@dataclass
class Variable:
    space: str
    align: int
    nbytes: int
    values: bytes


@dataclass
class Function:
    name: str
    results: list[str]
    parameters: list[tuple[str, str]]  # (name, type)
    body: str


@dataclass
class Module:
    """What an entry needs to run: instructions and labels mixed, types of registers, variables in memory."""

    name: str
    parameters: list[tuple[str, str]]
    code: list[Instruction | str] = field(default_factory=list)  # a label is a string
    registers: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)


def bytes_of(kind: str) -> int:
    """The bytes of a PTX type such as `u32` or `bf16x2`."""
    return 1 if kind == "pred" else 4 if kind.endswith("x2") else SIZES[re.sub(r"\D+", "", kind) or "32"]


def operands_of(text: str) -> list[str]:
    """The operands of an instruction; a vector stays one, `a|b` is two."""
    found = re.findall(r"\{[^}]*\}|\[[^\]]*\]|\([^)]*\)|[^,|\s]+", text)
    return [re.sub(r"\s+", "", x) for x in found]


def elements(operand: str) -> list[str]:
    """The parts of `{a,b}`, or the operand alone."""
    return operand[1:-1].split(",") if operand[0] == "{" else [operand]


def _statements(body: str) -> Iterator[str]:
    """Statements, and `{` and `}` of scopes; a vector's braces belong to its statement."""
    start = 0
    for k in re.finditer(r"[;{}]", body):
        mark, text = k.group(), body[start : k.start()]
        if mark == "{" and (text.strip() and not re.search(r":\s*$", text)):
            continue  # opens a vector
        if mark == "}" and "{" in text:
            continue
        if text.strip():
            yield text.strip()
        start = k.end()
        if mark != ";":
            yield mark
    if body[start:].strip():
        yield body[start:].strip()


def _variable(text: str) -> tuple[str, Variable] | None:
    k = _VARIABLE.search(text)
    if not k:
        return None
    space, align, vector, kind, name, dimensions, initial = k.groups()
    item = bytes_of(kind)
    count = int(vector or 1)
    for d in re.findall(r"\[(\d*)\]", dimensions):
        count *= int(d or 0)
    values = b""
    for v in re.findall(r"[-\w]+", initial or ""):
        if re.match(r"0[fFdD]", v):
            values += int(v[2:], 16).to_bytes(item, "little")
        elif re.match(r"-?\d", v):
            values += (int(v, 0) % (1 << 8 * item)).to_bytes(item, "little")
    return name, Variable(space, max(int(align or 1), item), item * count, values)


def _functions(text: str) -> tuple[Function, dict[str, Function], str]:
    """The entry, the other functions, and what stands outside of them."""
    entry, others, outside, position = None, {}, "", 0
    head = re.compile(r"\.(entry|func)\s*(?:\(([^)]*)\))?\s*([\w$]+)\s*(?:\(([^)]*)\))?([^{;]*)([{;])")
    while k := head.search(text, position):
        outside += text[position : k.start()]
        position = k.end()
        if k.group(6) == ";":
            continue
        depth = 1
        while depth:
            brace = re.compile(r"[{}]").search(text, position)
            if brace is None:
                raise ValueError(f"PTX: the body of {k.group(3)} does not end")
            depth += 1 if brace.group() == "{" else -1
            position = brace.end()

        def parameters(declared: str | None) -> list[tuple[str, str]]:
            found = []
            for p in (declared or "").split(","):
                if m := re.search(
                    r"\.(?:reg|param)\s+(?:\.align\s+\d+\s+)?(?:\.ptr\s+)?\.(\w+)\s.*?([%\w$]+)(?:\[\d*\])?\s*$",
                    p,
                    re.S,
                ):
                    found.append((m.group(2), m.group(1)))
            return found

        function = Function(
            k.group(3), [n for n, _ in parameters(k.group(2))], parameters(k.group(4)), text[k.end() : position - 1]
        )
        if k.group(1) == "entry":
            entry = function
        else:
            others[function.name] = function
    if entry is None:
        raise ValueError("PTX: there is no .entry")
    return entry, others, outside + text[position:]


class _Flattener:
    def __init__(self, module: Module, functions: dict[str, Function]):
        self.module, self.functions, self.copies = module, functions, 0

    def expand(self, body: str, names: dict[str, str], depth: int = 0) -> None:
        """Append the instructions of `body`; `names` maps the parameters to the caller's."""
        self.copies += 1
        copy = f"~{self.copies}" if depth else ""
        scopes, line, end = [dict(names)], 0, f"return{copy}"
        module = self.module

        def rename(name: str) -> str:
            for scope in reversed(scopes):
                if name in scope:
                    return scope[name]
            return name

        def declare(name: str, kind: str) -> None:
            unique = name + copy
            while module.registers.get(unique, kind) != kind:
                unique += "'"
            module.registers[unique] = kind
            scopes[-1][name] = unique

        for text in _statements(body):
            if text == "{":
                scopes.append({})
                continue
            if text == "}":
                scopes.pop()
                continue
            text, line = self._directives(text, line, copy)
            if text.startswith(".reg"):
                _, kind, rest = text.split(None, 2)
                for name in rest.split(","):
                    if k := re.match(r"\s*([%\w$]+)<(\d+)>", name):
                        for n in range(int(k.group(2))):
                            declare(f"{k.group(1)}{n}", kind[1:])
                    else:
                        declare(name.strip(), kind[1:])
                continue
            if variable := _variable(text) if text.startswith((".local", ".shared")) else None:
                name, v = variable
                scopes[0][name] = name + copy
                module.variables[name + copy] = v
                continue
            if not text or text[0] == ".":
                continue
            k = _INSTRUCTION.match(text)
            if not k:
                raise ValueError(f"PTX: cannot read {text!r}")
            negated, predicate, name, rest = k.groups()
            op = name.split(".")
            operands = [re.sub(r"[%\w$]+", lambda m: rename(m.group()), x) for x in operands_of(rest)]
            if op[0] in ("bra", "brx"):
                operands = [x + copy for x in operands]
            if predicate:
                predicate = ("!" if negated else "") + rename(predicate)
                if op[0] == "bra":
                    module.code.append(Instruction(op, [*operands, predicate], text, line))
                    continue
                around = f"around~{len(module.code)}"
                inverse = predicate[1:] if negated else "!" + predicate
                module.code.append(Instruction(["bra"], [around, inverse], text, line))
            self._instruction(op, operands, text, line, end if depth else "", depth)
            if predicate:
                module.code.append(around)
        if depth:
            module.code.append(end)

    def _directives(self, text: str, line: int, copy: str) -> tuple[str, int]:
        """Take labels and .loc from the front of a statement."""
        while True:
            if k := _LABEL.match(text):
                self.module.code.append(k.group(1) + copy)
            elif k := re.match(r"\.loc\s+\d+\s+(\d+)[^\n]*\n?\s*", text):
                line = int(k.group(1))
            elif not (k := re.match(r"\.pragma[^;]*$|\.(?:file|section)[^\n]*\n?\s*", text)):
                return text, line
            text = text[k.end() :]

    def _instruction(self, op: list[str], operands: list[str], text: str, line: int, end: str, depth: int) -> None:
        code = self.module.code
        if op[0] == "call":
            results = operands.pop(0) if operands[0][0] == "(" else "()"
            callee, arguments = operands[0], (operands[1] if len(operands) > 1 else "()")
            function = self.functions.get(callee)
            results_, arguments_ = (re.findall(r"[^(),]+", x) for x in (results, arguments))
            if function and depth < 20:
                mapped = dict(
                    zip(function.results + [n for n, _ in function.parameters], results_ + arguments_, strict=True)
                )
                self.expand(function.body, mapped, depth + 1)
            else:
                code.append(Instruction(["call", callee], [*results_], text, line))
        elif op[0] == "ret" and end:
            code.append(Instruction(["bra"], [end], text, line))
        else:
            code.append(Instruction(op, operands, text, line))


def parse(ptx: str) -> Module:
    """The entry of a PTX text. Raises ValueError where it is not PTX."""
    text = re.sub(r"/\*.*?\*/", "", re.sub(r"//[^\n]*", "", ptx), flags=re.S)
    text = text.split("\t.section")[0]
    entry, functions, outside = _functions(text)
    module = Module(entry.name, entry.parameters)
    for statement in re.split(r";", outside):
        if variable := _variable(statement):
            module.variables[variable[0]] = variable[1]
    _Flattener(module, functions).expand(entry.body, {})
    return module
