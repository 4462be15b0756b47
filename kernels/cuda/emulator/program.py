"""A compiled kernel as something that can be launched on the CPU."""

import re
from collections.abc import Sequence

import numpy as np

from .kinds import dtype_of
from .machine import Machine
from .memory import Memory, memory
from .parse import parse
from .translate import Translator

IN_FLIGHT, SHARED_IN_FLIGHT = 1 << 16, 1 << 24
SCHEDULES = ("lockstep", "run-ahead")


def _readable(name: str) -> str:
    """The Python function of a mangled name: its last part before the version that Numba appends."""
    parts, rest = [], name.removeprefix("_ZN")
    while rest != name and (k := re.match(r"\d+", rest)):
        parts.append(rest[k.end() : k.end() + int(k.group())])
        rest = rest[k.end() + int(k.group()) :]
    return parts[-1] if parts else name


class Program:
    """The entry of a PTX text: its `name`, the types of its `parameters`, its bytes of static `shared` memory."""

    def __init__(self, ptx: str, memory: Memory = memory):
        module = parse(ptx)
        self.name, self.memory = module.name, memory
        self.title = _readable(self.name)
        self.parameters = tuple(kind for _, kind in module.parameters)
        self.offsets: dict[str, int] = {}
        self.layout = 0
        for name, kind in module.parameters:
            size = np.dtype(dtype_of(kind)).itemsize
            self.offsets[name] = self.layout = (self.layout + size - 1) // size * size
            self.layout += size
        self.shared = self.local = 0
        addresses: dict[str, int] = {}
        variables = sorted(module.variables.items(), key=lambda item: item[1].nbytes == 0)  # the dynamic array is last
        for name, v in variables:
            if v.space in ("global", "const"):
                addresses[name] = memory.allocate(v.nbytes)
                values = np.frombuffer(v.values.ljust(v.nbytes, b"\0"), np.uint8)
                memory.bytes[addresses[name] : addresses[name] + v.nbytes] = values
                memory.mark_written(addresses[name], v.nbytes)
            elif v.space == "shared":
                align = max(v.align, 1 if v.nbytes else 16)
                addresses[name] = self.shared = (self.shared + align - 1) // align * align
                self.shared += v.nbytes
            else:
                addresses[name] = self.local = (self.local + 15) // 16 * 16
                self.local += v.nbytes
        translator = Translator(module)
        self.blocks = translator.translate(addresses)
        self.instructions = translator.instructions
        self.kinds = [translator.kinds[r] for r in translator.slots]
        self.steps = 0  # instructions executed, each for all threads that were there

    def launch(
        self,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[int | float],
        shared: int = 0,
        schedule: str = "lockstep",
    ) -> None:
        """Run the kernel: `arguments` one number a parameter, `shared` the bytes of dynamic shared memory.

        "lockstep" runs all warps side by side; "run-ahead" lets each, the last first, run as far as a barrier.
        Raises Fault for what a GPU would not survive, ValueError for a launch that it would refuse.
        """
        if schedule not in SCHEDULES:
            raise ValueError(f"launch: schedule is one of {SCHEDULES}, got {schedule!r}")
        if len(arguments) != len(self.parameters):
            raise ValueError(
                f"launch: {self.title} has {len(self.parameters)} parameters, got {len(arguments)} arguments"
            )
        if len(grid) != 3 or len(block) != 3 or min(*grid, *block) < 1 or int(np.prod(block)) > 1024:
            raise ValueError(
                "launch: grid and block are three sizes of at least 1, a block has at most 1024 threads;"
                f" got {grid} and {block}"
            )
        values = bytearray(self.layout)
        for offset, kind, x in zip(self.offsets.values(), self.parameters, arguments, strict=True):
            dtype = np.dtype(dtype_of(kind))
            item = (
                np.array(x, dtype)
                if dtype.kind == "f"
                else np.array(int(x) % (1 << 8 * dtype.itemsize), f"u{dtype.itemsize}")
            )
            values[offset : offset + dtype.itemsize] = item.tobytes()
        padded = (int(np.prod(block)) + 31) // 32 * 32
        chunk = max(1, min(IN_FLIGHT // padded, SHARED_IN_FLIGHT // max(self.shared + shared, 1)))
        total = int(np.prod(grid))
        with np.errstate(all="ignore"):
            for first in range(0, total, chunk):
                blocks = np.arange(first, min(first + chunk, total))
                machine = Machine(self, self.memory, blocks, grid, block, bytes(values), shared)
                machine.run(schedule)
                self.steps += machine.steps
