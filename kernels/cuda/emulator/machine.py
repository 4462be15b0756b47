"""Runs the blocks of a translated kernel for the threads of some thread blocks at a time.

Threads that are at the same basic block run it together. The one that comes first in the program runs first, so that
threads that went different ways meet again behind. Threads at a barrier wait until nothing else can run.
"""

from typing import Any, NoReturn

import numpy as np

from .collectives import Collectives
from .fault import Fault
from .memory import Memory
from .translate import Block


class Machine(Collectives):
    """The registers and the memory of the threads in flight."""

    def __init__(self, program: Any, memory: Memory, blocks: Any, grid: Any, block: Any, arguments: bytes, shared: int):
        self.program, self.memory, self.arguments = program, memory, arguments
        self.grid, self.block, self.dynamic = grid, block, shared
        self.count = int(np.prod(block))
        warps = (self.count + 31) // 32
        self.warps = warps
        self.size = len(blocks) * warps * 32
        every = np.arange(self.size)
        self.block_of, self.thread_of = every // (warps * 32), every % (warps * 32)
        self.warp_of = (self.thread_of // 32).astype(np.uint8)
        self.exited = self.thread_of >= self.count
        self.blocks = blocks
        self.every = every
        self.registers: list[Any] = [np.zeros(1, k) for k in program.kinds]
        self.specials: dict[str, Any] = {}
        self.steps = 0
        self.prepare(self.size, len(blocks), program.shared + shared, program.local)

    def threads(self, a: Any) -> Any:
        return self.every if a is None else a

    def fault(self, n: int, a: Any, bad: int, what: str) -> NoReturn:
        thread = int(self.threads(a)[bad])
        t, b = int(self.thread_of[thread]), int(self.blocks[self.block_of[thread]])
        instruction = self.program.instructions[n]
        x, y, _ = self.block
        gx, gy, _ = self.grid
        where = f"block ({b % gx}, {b // gx % gy}, {b // (gx * gy)}), thread ({t % x}, {t // x % y}, {t // (x * y)})"
        line = f", line {instruction.line}" if instruction.line else ""
        raise Fault(f"{self.program.title}, {where}{line}: {what}\n  at: {' '.join(instruction.text.split())}")

    def unknown(self, n: int, a: Any) -> NoReturn:
        name = self.program.instructions[n].text.split("\t")[0].strip()
        self.fault(n, a, 0, f"the emulator does not know `{name}`")

    def called(self, n: int, name: str, a: Any) -> NoReturn:
        if name in ("trap", "__assertfail"):
            self.fault(n, a, 0, "the kernel stopped itself: a failed assertion or a trap")
        self.fault(n, a, 0, f"the emulator does not know the function `{name}`")

    def load_register(self, slot: int, a: Any) -> Any:
        x = self.registers[slot]
        return x if a is None or len(x) == 1 else x[a]

    def store_register(self, slot: int, a: Any, x: Any) -> None:
        if a is None:
            self.registers[slot] = x
            return
        old = self.registers[slot]
        if len(old) != self.size:
            old = self.registers[slot] = np.repeat(old, self.size)
        old[a] = x

    def argument(self, name: str, offset: int, dtype: str) -> Any:
        return np.frombuffer(self.arguments, dtype, 1, self.program.offsets[name] + offset)

    def special(self, n: int, name: str, a: Any) -> Any:
        if name not in self.specials:
            x = self._special(name)
            if x is None:
                self.fault(n, a, 0, f"the emulator does not know the register {name}")
            self.specials[name] = np.atleast_1d(x).astype(np.uint64 if "64" in name else np.uint32)
        x = self.specials[name]
        return x if a is None or len(x) == 1 else x[a]

    def _special(self, name: str) -> Any:
        base, _, axis = name.partition(".")
        k = "xyz".find(axis) if axis else 0

        def split(number: Any, sizes: Any) -> Any:
            return number // int(np.prod(sizes[:k])) % sizes[k]

        lane = self.thread_of % 32
        known = {
            "%tid": lambda: split(self.thread_of, self.block), "%ntid": lambda: self.block[k],
            "%ctaid": lambda: split(np.asarray(self.blocks)[self.block_of], self.grid), "%nctaid": lambda: self.grid[k],
            "%laneid": lambda: lane, "%warpid": lambda: self.warp_of, "%nwarpid": lambda: self.warps,
            "WARP_SZ": lambda: 32, "%dynamic_smem_size": lambda: self.dynamic, "%smid": lambda: 0, "%nsmid": lambda: 1,
            "%total_smem_size": lambda: self.shared_size, "%clock": lambda: self.steps, "%clock64": lambda: self.steps,
            "%globaltimer": lambda: self.steps, "%gridid": lambda: 0,
            "%lanemask_eq": lambda: 1 << lane, "%lanemask_lt": lambda: (1 << lane) - 1,
            "%lanemask_le": lambda: (2 << lane) - 1, "%lanemask_ge": lambda: 0xFFFFFFFF & -(1 << lane),
            "%lanemask_gt": lambda: 0xFFFFFFFF & -(2 << lane),
        }  # fmt: skip
        return known[base]() if base in known else None

    def run(self, schedule: str) -> None:
        """Run all threads to their end, warp by warp or all together between two barriers."""
        ready: dict[int, list[Any]] = {0: [np.flatnonzero(~self.exited)]}
        while ready:
            waiting: dict[int, list[Any]] = {}
            if schedule == "lockstep":
                self._advance(ready, waiting)
            else:
                for warp in reversed(range(self.warps)):
                    chosen = {b: [x[self.warp_of[x] == warp] for x in group] for b, group in ready.items()}
                    self._advance({b: g for b, g in chosen.items() if any(map(len, g))}, waiting)
            self._meet(waiting)
            ready = {self.program.blocks[b].end[1]: [] for b in waiting}
            for b, groups in waiting.items():
                ready[self.program.blocks[b].end[1]] += groups
            self.writers[:] = 0
            self.readers[:] = 0

    def _advance(self, ready: dict[int, list[Any]], waiting: dict[int, list[Any]]) -> None:
        while ready:
            here = min(ready)
            groups = ready.pop(here)
            active = groups[0] if len(groups) == 1 else np.sort(np.concatenate(groups))
            a = None if len(active) == self.size else active
            block: Block = self.program.blocks[here]
            taken = block.run(self, self.registers, a)
            self.steps += len(block.code)
            kind, *targets = block.end
            if kind == "exit":
                self.exited[active] = True
            elif kind == "barrier":
                waiting.setdefault(here, []).append(active)
            elif kind == "jump" or taken.all():
                ready.setdefault(targets[0], []).append(active)
            elif not taken.any():
                ready.setdefault(targets[1], []).append(active)
            else:
                ready.setdefault(targets[0], []).append(active[taken])
                ready.setdefault(targets[1], []).append(active[~taken])

    def _meet(self, waiting: dict[int, list[Any]]) -> None:
        """Every thread waits or has ended: those of a block must wait at the same barrier."""
        at = np.full(len(self.blocks), -1)
        for b, groups in waiting.items():
            threads = np.concatenate(groups)
            elsewhere = (at[self.block_of[threads]] >= 0) & (at[self.block_of[threads]] != b)
            if elsewhere.any():
                n = self.program.blocks[b].end[2]
                what = "a barrier that not all threads of the block reach: others wait at a different one"
                self.fault(n, threads, int(np.argmax(elsewhere)), what)
            at[self.block_of[threads]] = b
