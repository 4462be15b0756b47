"""Basic blocks of PTX to Python functions on arrays.

A register is an array with one item a thread, or a single item where all threads agree. A block loads what it reads
from the register file `R`, computes in local names, each assigned once, and stores what other blocks may read.
`a` is None where every thread is in the block, else the indices of those that are.
"""

import re
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import arithmetic
from .instructions import emit
from .kinds import WIDTHS, Unknown, dtype_of
from .parse import Instruction, Module, bytes_of, elements

ENDS = {"bra", "ret", "exit", "bar", "barrier"}


@dataclass
class Block:
    code: list[tuple[int, Instruction]] = field(default_factory=list)
    end: tuple[Any, ...] = ()  # ("jump", block) ("branch", block, else) ("barrier", block, instruction) ("exit",)
    run: Any = None


class Translator:
    """Writes the functions of all blocks of a module."""

    def __init__(self, module: Module):
        self.module = module
        self.instructions: list[Instruction] = []
        self.blocks: list[Block] = []
        self.addresses: dict[str, int] = {}
        self.namespace: dict[str, Any] = {"np": np, **vars(arithmetic)}
        self.slots: dict[str, int] = {}  # of registers in R
        self.kinds: dict[str, str] = {
            n: dtype_of("b" + k[1:] if k[0] in "us" else k) for n, k in module.registers.items()
        }
        self.counter = 0

    def translate(self, addresses: dict[str, int]) -> list[Block]:
        self.addresses = addresses
        labels = self._cut()
        for b in self.blocks:
            b.end = tuple(labels[x] if isinstance(x, str) and x[:1] == "@" else x for x in b.end)
        parts = [self._function(b) for b in self.blocks]
        sources = [self._source(k, *part) for k, part in enumerate(parts)]
        exec(compile("\n".join(sources), f"<{self.module.name}>", "exec"), self.namespace)
        for k, b in enumerate(self.blocks):
            b.run = self.namespace[f"block{k}"]
        return self.blocks

    def _cut(self) -> dict[str, int]:
        """Cut the code into blocks; where each label stands."""
        labels: dict[str, int] = {}
        current = Block()
        self.blocks = [current]
        for item in self.module.code:
            here = len(self.blocks) - 1
            if isinstance(item, str):
                if current.code:
                    current.end = ("jump", here + 1)
                    current = Block()
                    self.blocks.append(current)
                labels["@" + item] = len(self.blocks) - 1
                continue
            n = len(self.instructions)
            self.instructions.append(item)
            current.code.append((n, item))
            if item.op[0] not in ENDS or item.op[:2] == ["bar", "warp"]:
                continue
            if item.op[0] == "bra":
                target = "@" + item.operands[0]
                current.end = ("jump", target) if len(item.operands) == 1 else ("branch", target, here + 1)
            elif item.op[0] in ("ret", "exit"):
                current.end = ("exit",)
            else:
                current.end = ("barrier", here + 1, n)
            current = Block()
            self.blocks.append(current)
        current.end = ("exit",)
        return labels

    def _function(self, block: Block) -> tuple[list[str], list[tuple[str, str, str]], str]:
        self.lines: list[str] = []
        self.names: dict[str, str] = {}  # the local name of each register
        self.views: dict[tuple[str, str], str] = {}
        self.written: list[str] = []
        self.aliases: set[str] = set()
        for n, instruction in block.code:
            self.n = n
            if instruction.op[0] == "bra":
                if len(instruction.operands) == 2:
                    self.lines.append(f"return {self.value(instruction.operands[1], 'pred')}")
                continue
            if instruction.op[0] in ENDS and instruction.op[:2] != ["bar", "warp"]:
                continue
            try:
                emit(self, instruction)
            except (Unknown, KeyError, IndexError):
                self.lines.append(f"m.unknown({n}, a)")
        last = self.lines.pop() if self.lines and self.lines[-1].startswith("return") else "return None"
        stores = [(r, self.names[r], ".copy()" if self.names[r] in self.aliases else "") for r in self.written]
        return self.lines, list(dict.fromkeys(stores)), last

    def _source(self, k: int, lines: list[str], stores: list[tuple[str, str, str]], last: str) -> str:
        """A block stores only what some block loads."""
        kept = [f"m.store_register({self.slots[r]}, a, {x}{copy})" for r, x, copy in stores if r in self.slots]
        body = "\n    ".join([*lines, *kept, last])
        return f"def block{k}(m, R, a):\n    {body}\n"

    def fresh(self, expression: str) -> str:
        self.counter += 1
        self.lines.append(f"x{self.counter} = {expression}")
        return f"x{self.counter}"

    def cached(self, expression: str) -> str:
        key = (expression, "")
        if key not in self.views:
            self.views[key] = self.fresh(expression)
        return self.views[key]

    def slot(self, register: str) -> int:
        return self.slots.setdefault(register, len(self.slots))

    def constant(self, value: Any, dtype: str) -> str:
        name = "k" + re.sub(r"\W", "_", f"{dtype}_{value}")
        self.namespace[name] = np.array([value], np.uint64).astype(f"u{np.dtype(dtype).itemsize}").view(dtype)
        return name

    def value(self, operand: str, kind: str) -> str:
        """A name for the operand as an array of the PTX type."""
        dtype = dtype_of(kind)
        if operand[0] == "!":
            return self.fresh(f"~{self.value(operand[1:], kind)}")
        if operand in self.kinds:
            name = self.names.get(operand)
            if name is None:
                name = self.names[operand] = self.fresh(f"m.load_register({self.slot(operand)}, a)")
            return self.convert(name, self.kinds[operand], dtype)
        if operand[0] == "%" or operand == "WARP_SZ":
            return self.convert(
                self.cached(f"m.special({self.n}, {operand!r}, a)"), "u8" if "64" in operand else "u4", dtype
            )
        if re.match(r"0[fF][0-9a-fA-F]{8}$", operand):
            number = struct.unpack("<f", struct.pack("<I", int(operand[2:], 16)))[0]
            return self.constant(int.from_bytes(np.array(number, dtype).tobytes(), "little"), dtype)
        if re.match(r"0[dD][0-9a-fA-F]{16}$", operand):
            return self.constant(int(operand[2:], 16), dtype)
        if re.match(r"-?\d", operand):
            number = int(operand.rstrip("U"), 0)
            if dtype == "?":
                return self.fresh(f"np.array([{bool(number)}])")
            return self.constant(number % (1 << 8 * np.dtype(dtype).itemsize), dtype)
        return self.constant(self.addresses[operand], dtype)

    def convert(self, name: str, own: str, dtype: str) -> str:
        if own == dtype or own == "?" or dtype == "?":
            return name
        size, wanted = np.dtype(own).itemsize, np.dtype(dtype).itemsize
        if size == wanted:
            return self.cached(f"{name}.view({dtype!r})")
        return self.cached(f"{name}.view('u{size}').astype('u{wanted}').view({dtype!r})")

    def define(self, operand: str, expression: str, dtype: str, alias: bool = False) -> None:
        """Let the register be the expression's value, of a NumPy type; widen it as its sign says."""
        if operand == "_":
            return
        own = self.kinds[operand]
        if own not in (dtype, "?"):
            size, given = np.dtype(own).itemsize, np.dtype(dtype).itemsize
            if size != given:
                middle = ("i" if dtype[0] == "i" else "u") + str(size)
                expression = f"({expression}).astype({middle!r})"
                dtype = middle
            if dtype != own:
                expression = f"({expression}).view({own!r})"
        name = self.fresh(expression)
        self.names[operand] = name
        self.written.append(operand)
        if alias:
            self.aliases.add(name)

    def parameter(self, address: str, kind: str) -> str:
        """The register that stands for a part of a function's parameter."""
        base, _, offset = address[1:-1].partition("+")
        register = f"{base}+{int(offset or 0)}:{bytes_of(kind)}"
        self.kinds.setdefault(register, f"u{bytes_of(kind)}")
        return register

    def address(self, operand: str) -> str:
        """The name of an int64 array for `[%r1+8]`."""
        k = re.match(r"\[([^+\]]+)(?:\+(-?\w+))?\]$", operand)
        if not k:
            raise Unknown
        base, offset = k.group(1), int(k.group(2) or "0", 0)
        if base in self.kinds:
            size = np.dtype(self.kinds[base]).itemsize
            name = self.value(base, WIDTHS[size])
            name = self.cached(f"{name}.astype('i8')" if size == 4 else f"{name}.view('i8')")
        elif re.match(r"-?\d", base):
            name = self.constant(int(base, 0), "i8")
        else:
            name = self.constant(self.addresses[base], "i8")
        return self.cached(f"{name} + {offset}") if offset else name

    def parts(self, operand: str) -> list[str]:
        return elements(operand)
