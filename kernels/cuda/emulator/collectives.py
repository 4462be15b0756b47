"""What a warp does together: shuffles, votes, ldmatrix, mma."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .access import Access
from .arithmetic import from_bf16, spread
from .kinds import Unknown
from .parse import Instruction, elements

if TYPE_CHECKING:
    from .translate import Translator


def emit_collective(t: "Translator", i: Instruction) -> None:
    """Write the lines of an instruction that threads execute together. Raises Unknown."""
    o, name = i.operands, i.op[0]
    if name == "activemask":
        return t.define(o[0], "m.active(a)", "u4")
    if name == "trap":
        t.lines.append(f"m.called({t.n}, 'trap', a)")
    elif name == "bar":
        t.lines.append(f"m.members({t.n}, {t.value(o[0], 'u32')}, a)")
    elif name == "shfl":
        predicate = o.pop(1) if len(o) == 6 else "_"
        x, lane, clamp, mask = (t.value(v, "u32") for v in o[1:5])
        pair = t.fresh(f"m.shuffle({t.n}, {i.op[2]!r}, {x}, {lane}, {clamp}, {mask}, a)")
        t.define(o[0], f"{pair}[0]", "u4")
        t.define(predicate, f"{pair}[1]", "?")
    elif name == "vote":
        result = f"m.vote({t.n}, {i.op[2]!r}, {t.value(o[1], 'pred')}, {t.value(o[2], 'u32')}, a)"
        t.define(o[0], result, "u4" if i.op[2] == "ballot" else "?")
    elif name == "redux":
        x, mask = t.value(o[1], i.op[-1].replace("b", "u")), t.value(o[2], "u32")
        t.define(o[0], f"m.reduce({t.n}, {i.op[2]!r}, {x}, {mask}, a)", "i4" if i.op[-1] == "s32" else "u4")
    elif name == "ldmatrix":
        parts = elements(o[0])
        rows = t.fresh(f"m.load_matrices({t.n}, {t.address(o[1])}, {len(parts)}, {'trans' in i.op}, a)")
        for k, part in enumerate(parts):
            t.define(part, f"{rows}[{k}]", "u4")
    elif name == "mma":
        _emit_mma(t, i)
    elif name == "cp" and i.op[1] == "async":
        if "commit_group" in i.op:
            t.lines.append("m.commit(a)")
        elif "wait_group" in i.op or "wait_all" in i.op:
            t.lines.append(f"m.wait({int(o[0]) if 'wait_group' in i.op else None}, a)")
        elif i.op[2] in ("ca", "cg"):
            size = t.value(o[3], "u32") if len(o) > 3 and not o[3].startswith("%policy") else "None"
            t.lines.append(f"m.copy_async({t.n}, {t.address(o[0])}, {t.address(o[1])}, {int(o[2])}, {size}, a)")
        else:
            raise Unknown
    else:
        raise Unknown


def _emit_mma(t: "Translator", i: Instruction) -> None:
    kinds = {"bf16", "f16"} if i.op[3] in ("m16n8k16", "m16n8k8") else set()
    kinds |= {"tf32"} if i.op[3] in ("m16n8k8", "m16n8k4") else set()
    if i.op[4:7] != ["row", "col", "f32"] or i.op[-1] != "f32" or i.op[7] not in kinds or i.op[8] != i.op[7]:
        raise Unknown
    d, a, b, c = (elements(x) for x in i.operands)
    if len(a) != 2 * len(b):
        raise Unknown
    rows = t.cached(f"m.fragment({t.n}, ({', '.join(t.value(x, 'u32') for x in a)},), {i.op[7]!r}, 2, a)")
    columns = t.cached(f"m.fragment({t.n}, ({', '.join(t.value(x, 'u32') for x in b)},), {i.op[8]!r}, 1, a)")
    start = ", ".join(t.value(x, "f32") for x in c)
    result = t.fresh(f"m.multiply({rows}, {columns}, ({start}))")
    for k, x in enumerate(d):
        t.define(x, f"{result}[{k}]", "f4")


class Collectives(Access):
    """The part of a machine that lets the threads of a warp work together."""

    exited: Any
    size: int

    def _bits(self, flags: Any) -> Any:
        return np.packbits(flags.reshape(-1, 32), axis=1, bitorder="little").view(np.uint32).reshape(-1)

    def _present(self, a: Any) -> Any:
        flags = np.zeros(self.size, bool)
        flags[self.threads(a)] = True
        return flags

    def active(self, a: Any) -> Any:
        return self._bits(self._present(a))[self.threads(a) // 32]

    def members(self, n: int, mask: Any, a: Any) -> None:
        """Check that all threads named by the mask that still run are here together."""
        if a is None and (mask == 0xFFFFFFFF).all():
            return
        threads = self.threads(a)
        missing = mask & ~self.active(a) & ~self._bits(self.exited)[threads // 32]
        if missing.any():
            bad = int(np.argmax(missing != 0))
            lane = int(missing[bad]).bit_length() - 1
            self.fault(
                n, a, bad, f"lane {lane} of the warp is named in the mask and is not here: the warp is incomplete"
            )
        outside = mask >> (threads % 32).astype(np.uint32) & np.uint32(1) == 0
        if outside.any():
            self.fault(n, a, int(np.argmax(outside)), "this thread is not named in the mask of the warp operation")

    def _whole(self, n: int, a: Any) -> int:
        """The number of warps, all of which must be complete."""
        if a is None:
            return self.size // 32
        threads = self.threads(a)
        warps = threads // 32
        lacking = np.bincount(warps, minlength=1)[warps] != 32
        if lacking.any():
            self.fault(
                n, a, int(np.argmax(lacking)), "the warp is incomplete: all 32 threads must execute this together"
            )
        return len(threads) // 32

    def shuffle(self, n: int, mode: str, x: Any, by: Any, clamp: Any, mask: Any, a: Any) -> tuple[Any, Any]:
        self.members(n, mask, a)
        threads = self.threads(a)
        lane = threads & 31
        segment = (clamp >> np.uint32(8) & np.uint32(31)).astype(np.int64)
        limit = (clamp & np.uint32(31)).astype(np.int64)
        last = lane & segment | limit & ~segment
        by = by.astype(np.int64)
        source = {"bfly": lane ^ by, "down": lane + by, "up": lane - by, "idx": lane & segment | by & ~segment & 31}[
            mode
        ]
        inside = source >= last if mode == "up" else source <= last
        source = threads - lane + np.where(inside, source, lane)
        if a is None:
            return spread(x, self.size)[source], inside
        place = np.full(self.size, -1)
        place[threads] = np.arange(len(threads))
        if (place[source] < 0).any():
            bad = int(np.argmax(place[source] < 0))
            self.fault(n, a, bad, f"reads from lane {int(source[bad]) % 32}, which is not here: the warp is incomplete")
        return spread(x, len(threads))[place[source]], inside

    def vote(self, n: int, mode: str, p: Any, mask: Any, a: Any) -> Any:
        self.members(n, mask, a)
        threads = self.threads(a)
        flags = np.zeros(self.size, bool)
        flags[threads] = p
        ballot = self._bits(flags)[threads // 32] & mask
        all_ = self.active(a) & mask
        return {"ballot": lambda: ballot, "any": lambda: ballot != 0, "all": lambda: ballot == all_,
                "uni": lambda: (ballot == 0) | (ballot == all_)}[mode]()  # fmt: skip

    def reduce(self, n: int, action: str, x: Any, mask: Any, a: Any) -> Any:
        self.members(n, mask, a)
        threads = self.threads(a)
        key = threads // 32 << 32 | spread(mask, len(threads)).astype(np.int64)
        _, first, place = np.unique(key, return_index=True, return_inverse=True)
        x = spread(x, len(threads))
        function = {"add": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or}
        out = np.zeros(len(first), x.dtype) if action in ("add", "xor") else x[first]
        function.get(action, np.bitwise_xor).at(out, place, x)
        return out[place]

    def load_matrices(self, n: int, address: Any, count: int, trans: bool, a: Any) -> list[Any]:
        warps = self._whole(n, a)
        threads = self.threads(a)
        lanes = (np.arange(warps)[:, None] * 32 + np.arange(8 * count)).reshape(-1)
        readers = threads[lanes]
        space, where, index = self._locate(n, "shared", spread(address, len(threads))[lanes], 16, readers, "read")
        self._read(n, space, index, 16, readers)
        rows = where.view(np.uint16).reshape(-1, 8)[index // 16].reshape(warps, count, 8, 8)
        if trans:
            rows = rows.swapaxes(2, 3)
        rows = np.ascontiguousarray(rows.swapaxes(0, 1)).view(np.uint32)
        return list(rows.reshape(count, -1))

    def fragment(self, n: int, registers: tuple[Any, ...], kind: str, halves: int, a: Any) -> Any:
        """The matrix whose parts the lanes hold: (warps, 8 * halves, k), rows of A or columns of B."""
        warps = self._whole(n, a)
        deep = len(registers) // halves
        each = 1 if kind == "tf32" else 2
        out = np.empty((warps, halves, 8, deep, 4, each), np.float32)
        for k, x in enumerate(registers):
            x = np.ascontiguousarray(spread(x, warps * 32))
            if kind == "tf32":
                items = (x & np.uint32(0xFFFFE000)).view(np.float32)
            else:
                items = from_bf16(x.view(np.uint16)) if kind == "bf16" else x.view(np.float16).astype(np.float32)
            out[:, k % halves, :, k // halves] = items.reshape(warps, 8, 4, each)
        return out.reshape(warps, 8 * halves, deep * 4 * each)

    @staticmethod
    def multiply(rows: Any, columns: Any, start: tuple[Any, ...]) -> list[Any]:
        product = np.matmul(rows, columns.swapaxes(1, 2)).reshape(-1, 2, 8, 4, 2)
        return [product[:, k // 2, :, :, k % 2].reshape(-1) + x for k, x in enumerate(start)]
