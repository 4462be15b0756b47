"""Loads, stores, atomics and asynchronous copies, each checked before it touches a byte."""

from typing import Any, NoReturn

import numpy as np

from .arithmetic import spread
from .memory import MAPPED, WRITTEN

SHARED_WINDOW, LOCAL_WINDOW = 1 << 40, 1 << 44
MANY = 255
WINDOWS = {
    "global": np.uint64(0),
    "const": np.uint64(0),
    "shared": np.uint64(SHARED_WINDOW),
    "local": np.uint64(LOCAL_WINDOW),
}


class Access:
    """The part of a machine that reads and writes memory."""

    memory: Any
    windows = WINDOWS

    def prepare(self, threads: int, blocks: int, shared: int, local: int) -> None:
        self.shared_size, self.local_size = shared, max(local, 1)
        self.shared_stride = (shared + 255) // 256 * 256
        self.local_stride = (self.local_size + 15) // 16 * 16
        self.shared = np.zeros(blocks * self.shared_stride, np.uint8)
        self.shared_shadow = np.full(self.shared.size, MAPPED, np.uint8)
        self.writers = np.zeros(self.shared.size, np.uint8)  # warp + 1 since the last barrier
        self.readers = np.zeros(self.shared.size, np.uint8)
        self.local = np.zeros(threads * self.local_stride, np.uint8)
        self.copies: list[list[Any]] = []  # threads, shared index, global address, bytes, bytes of source, group
        self.groups = np.zeros(threads, np.int64)

    def fault(self, n: int, a: Any, bad: int, what: str) -> NoReturn:
        raise NotImplementedError

    def threads(self, a: Any) -> Any:
        raise NotImplementedError

    def _locate(self, n: int, space: str, address: Any, nbytes: int, a: Any, verb: str) -> tuple[str, Any, Any]:
        """The space, its bytes, and the index of each access, aligned and within bounds."""
        if space == "generic":
            windows = address >> 40
            first = int(windows[0])
            space = "shared" if first == 1 else "local" if first >= 16 else "global"
            if (windows != first).any() and not (space == "local" and (windows >= 16).all()):
                bad = int(np.argmax(windows != first))
                self.fault(
                    n, a, bad, f"{verb}s different memory spaces in one instruction, which the emulator does not know"
                )
            address = address - int(self.windows[space])
        if (address & (nbytes - 1)).any():
            bad = int(np.argmax(address & (nbytes - 1) != 0))
            self.fault(
                n, a, bad, f"{verb}s {nbytes} bytes at {int(address[bad]):#x}, which is not a multiple of {nbytes}"
            )
        limit = {"global": self.memory.size, "shared": self.shared_size, "local": self.local_size}[space]
        outside = (address < 0) | (address > limit - nbytes)
        if outside.any():
            bad = int(np.argmax(outside))
            self._outside(n, space, int(address[bad]), nbytes, a, bad, verb, limit)
        if space == "global":
            shadow = self.memory.shadow
            if nbytes <= 8:
                state = shadow.view(f"u{nbytes}")[address >> (nbytes.bit_length() - 1)]
                fine = state & int.from_bytes(bytes([MAPPED] * nbytes), "little") == int.from_bytes(
                    bytes([MAPPED] * nbytes), "little"
                )
            else:
                fine = (shadow.reshape(-1, nbytes)[address // nbytes] & MAPPED).all(1)
            if not fine.all():
                bad = int(np.argmin(fine))
                self._outside(n, space, int(address[bad]), nbytes, a, bad, verb, limit)
            return space, self.memory.bytes, address
        threads = self.threads(a)
        if space == "shared":
            return space, self.shared, self.block_of[threads] * self.shared_stride + address
        return space, self.local, threads * self.local_stride + address

    block_of: Any
    warp_of: Any

    def _outside(
        self, n: int, space: str, address: int, nbytes: int, a: Any, bad: int, verb: str, limit: int
    ) -> NoReturn:
        if space == "global":
            self.fault(
                n, a, bad, f"{verb}s {nbytes} bytes out of bounds at {address:#x}: {self.memory.nearest(address)}"
            )
        over = f"{-address} bytes before its start" if address < 0 else f"{address + nbytes - limit} bytes past its end"
        hint = "; is the launch given too little shared memory?" if space == "shared" else ""
        self.fault(n, a, bad, f"{verb}s {nbytes} bytes {over}: there are {limit} bytes of {space} memory{hint}")

    def _read(self, n: int, space: str, index: Any, nbytes: int, a: Any, verb: str = "read") -> None:
        """Check that what is read was written, and in shared memory not by another warp since the last barrier."""
        if space == "local":
            return
        shadow = self.memory.shadow if space == "global" else self.shared_shadow
        if nbytes <= 8:
            whole = int.from_bytes(bytes([MAPPED | WRITTEN] * nbytes), "little")
            fine = shadow.view(f"u{nbytes}")[index >> (nbytes.bit_length() - 1)] == whole
        else:
            fine = (shadow.reshape(-1, nbytes)[index // nbytes] == MAPPED | WRITTEN).all(1)
        if not fine.all():
            bad = int(np.argmin(fine))
            place = f"{int(index[bad]):#x}" if space == "global" else f"offset {int(index[bad]) % self.shared_stride}"
            self.fault(n, a, bad, f"{verb}s {nbytes} bytes of {space} memory at {place} that were never written")
        if space == "shared":
            own = self.warp_of[self.threads(a)] + 1
            writer = self.writers.reshape(-1, nbytes)[index // nbytes]
            self._race(n, a, index, (writer != 0) & (writer != own[:, None]), writer, "read", "wrote")
            readers = self.readers.reshape(-1, nbytes)
            seen = readers[index // nbytes]
            np.maximum.at(readers, index // nbytes, np.where((seen == 0) | (seen == own[:, None]), own[:, None], MANY))
            late = readers[index // nbytes]  # of two warps in one instruction the higher one won
            readers[index[(late != own[:, None]).any(1)] // nbytes] = MANY

    def _race(self, n: int, a: Any, index: Any, bad: Any, others: Any, verb: str, did: str) -> None:
        if not bad.any():
            return
        k = int(np.argmax(bad.any(1)))
        other = int(others[k][np.argmax(bad[k])])
        whom = "other warps" if other == MANY else f"warp {other - 1}"
        place = int(index[k]) % self.shared_stride
        self.fault(
            n, a, k, f"a race: {verb}s shared memory at offset {place} that {whom} {did} with no barrier between"
        )

    def _written(self, n: int, space: str, index: Any, nbytes: int, a: Any, new: Any = None) -> None:
        if space == "local":
            return
        shadow = self.memory.shadow if space == "global" else self.shared_shadow
        shadow.reshape(-1, nbytes)[index // nbytes] = MAPPED | WRITTEN
        if space == "shared":
            own = (self.warp_of[self.threads(a)] + 1)[:, None]
            writer, reader = (x.reshape(-1, nbytes)[index // nbytes] for x in (self.writers, self.readers))
            bad = (writer != 0) & (writer != own)
            if new is not None and bad.any():  # the same value again is no race that shows
                old = self.shared.reshape(-1, nbytes)[index // nbytes]
                bad &= old != new
            self._race(n, a, index, bad, writer, "write", "wrote")
            self._race(n, a, index, (reader != 0) & (reader != own), reader, "write", "read")
            self.writers.reshape(-1, nbytes)[index // nbytes] = own
            after = self.writers.reshape(-1, nbytes)[index // nbytes]
            if new is not None and (after != own).any():
                last = {int(x): k for k, x in enumerate(index)}
                twin = np.array([last[int(x)] for x in index])
                self._race(n, a, index, (after != own) & (new[twin] != new), after, "write", "wrote")

    def load(self, n: int, space: str, address: Any, dtype: str, count: int, a: Any) -> list[Any]:
        size = np.dtype(dtype).itemsize
        space, where, index = self._locate(n, space, address, size * count, a, "read")
        self._read(n, space, index, size * count, a)
        if count == 1:
            return [where.view(dtype)[index >> (size.bit_length() - 1)]]
        rows = where.view(dtype).reshape(-1, count)[index // (size * count)]
        return [np.ascontiguousarray(rows[:, k]) for k in range(count)]

    def store(self, n: int, space: str, address: Any, values: tuple[Any, ...], a: Any) -> None:
        size, count = values[0].dtype.itemsize, len(values)
        total = len(self.threads(a))
        space, where, index = self._locate(n, space, spread(address, total), size * count, a, "write")
        rows = np.empty((total, count), values[0].dtype)
        for k, x in enumerate(values):
            rows[:, k] = x
        self._written(n, space, index, size * count, a, rows.view(np.uint8) if space == "shared" else None)
        where.view(rows.dtype).reshape(-1, count)[index // (size * count)] = rows

    def atomic(self, n: int, space: str, address: Any, action: str, values: tuple[Any, ...], a: Any) -> Any:
        """In the order of the threads, so that sums are the same each time."""
        size, total = values[0].dtype.itemsize, len(self.threads(a))
        space, where, index = self._locate(n, space, spread(address, total), size, a, "write")
        shadow = self.memory.shadow if space == "global" else self.shared_shadow
        if space != "local" and (shadow[index] != MAPPED | WRITTEN).any():
            self.fault(
                n,
                a,
                int(np.argmax(shadow[index] != MAPPED | WRITTEN)),
                f"updates {space} memory that was never written",
            )
        items = where.view(values[0].dtype)
        places = index // size
        operands = [spread(x, total) for x in values]
        if len(np.unique(places)) == total:
            old = items[places]
            items[places] = self._update(action, old, *operands)
            return old
        old = np.empty(total, items.dtype)
        for k in range(total):
            old[k] = items[places[k]]
            items[places[k]] = self._update(action, old[k : k + 1], *(x[k : k + 1] for x in operands))[0]
        return old

    @staticmethod
    def _update(action: str, x: Any, b: Any, c: Any = None) -> Any:
        one = x.dtype.type(1)
        actions = {
            "add": lambda: x + b,
            "min": lambda: np.minimum(x, b),
            "max": lambda: np.maximum(x, b),
            "and": lambda: x & b,
            "or": lambda: x | b,
            "xor": lambda: x ^ b,
            "exch": lambda: b,
            "cas": lambda: np.where(x == b, c, x),
            "inc": lambda: np.where(x >= b, x * 0, x + one),
            "dec": lambda: np.where((x == 0) | (x > b), b, x - one),
        }
        return actions[action]()

    def copy_async(self, n: int, to: Any, source: Any, nbytes: int, size: Any, a: Any) -> None:
        """Note a copy; its target counts as not written until the wait for it."""
        threads = self.threads(a)
        total = len(threads)
        _, _, index = self._locate(n, "shared", spread(to, total), nbytes, a, "copie")
        source = spread(source, total)
        size = np.full(total, nbytes) if size is None else spread(size, total).astype(np.int64)
        reads = size > 0
        if reads.any():
            active = threads[reads]
            self._locate(n, "global", source[reads], nbytes, active, "copie")
            whole = size[reads] == nbytes
            self._read(n, "global", source[reads][whole], nbytes, active[whole], "copie")
        self._written(n, "shared", index, nbytes, a)
        self.shared_shadow.reshape(-1, nbytes)[index // nbytes] = MAPPED
        self.copies.append([threads, index, source, nbytes, size, self.groups[threads]])

    def commit(self, a: Any) -> None:
        self.groups[self.threads(a)] += 1

    def wait(self, pending: int | None, a: Any) -> None:
        """Let all but the last `pending` groups of the threads arrive; all, committed or not, for None."""
        waits = np.zeros(len(self.groups), bool)
        waits[self.threads(a)] = True
        left = []
        for threads, index, source, nbytes, size, group in self.copies:
            ready = waits[threads]
            if pending is not None:
                ready = ready & (group < self.groups[threads] - pending)
            if ready.any():
                data = self.memory.bytes.reshape(-1, nbytes)[source[ready] // nbytes * (size[ready] > 0)]
                data = np.where(np.arange(nbytes) < size[ready][:, None], data, 0)
                self.shared.reshape(-1, nbytes)[index[ready] // nbytes] = data
                self.shared_shadow.reshape(-1, nbytes)[index[ready] // nbytes] = MAPPED | WRITTEN
                self.writers.reshape(-1, nbytes)[index[ready] // nbytes] = (self.warp_of[threads[ready]] + 1)[:, None]
            if not ready.all():
                left.append(
                    [x if isinstance(x, int) else x[~ready] for x in (threads, index, source, nbytes, size, group)]
                )
        self.copies = left
