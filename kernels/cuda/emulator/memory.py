"""The memory of the emulated device: one arena, reserved and not touched, with a shadow that knows what is in use.

A shadow byte stands for each byte of the arena: 0 unmapped, MAPPED once allocated, MAPPED | WRITTEN once something
was stored there. An access checks the shadow of just the bytes that it touches.
"""

import mmap
from bisect import bisect_right, insort

import numpy as np

from .fault import Fault

MAPPED, WRITTEN = 1, 2
ALIGNMENT, GAP, FIRST = 256, 256, 4096


def reserve(nbytes: int) -> np.ndarray:
    """Zeroed bytes whose pages the system provides when they are first touched."""
    flags = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)}
    return np.frombuffer(mmap.mmap(-1, nbytes, **(flags if hasattr(mmap, "MAP_PRIVATE") else {})), np.uint8)


class Memory:
    """Device memory of `size` bytes. Addresses are offsets into `bytes`; the first 4096 bytes stay unmapped."""

    def __init__(self, size: int = 1 << 32):
        self.size = size
        self.bytes = reserve(size)
        self.shadow = reserve(size)
        self.sizes: dict[int, int] = {}  # of each allocation, by address
        self.starts: list[int] = []
        self._free: list[tuple[int, int]] = [(FIRST, size - FIRST)]  # (address, bytes), by address

    def allocate(self, nbytes: int) -> int:
        """The 256-byte aligned address of `nbytes` of memory that was never written. Raises MemoryError."""
        room = (max(nbytes, 1) + GAP + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        for k, (address, free) in enumerate(self._free):
            if free >= room:
                self._free[k : k + 1] = [(address + room, free - room)] if free > room else []
                self.sizes[address] = nbytes
                insort(self.starts, address)
                self.shadow[address : address + nbytes] = MAPPED
                return address
        raise MemoryError(f"the emulated device has no {nbytes} bytes left; it has {self.size} in all")

    def free(self, address: int) -> None:
        """Give back what `allocate` returned. Raises Fault for any other address."""
        if address not in self.sizes:
            raise Fault(f"free: {address:#x} is not the address of an allocation")
        nbytes = self.sizes.pop(address)
        self.starts.remove(address)
        self.shadow[address : address + nbytes] = 0
        room = (max(nbytes, 1) + GAP + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        insort(self._free, (address, room))
        merged: list[tuple[int, int]] = []
        for start, size in self._free:
            if merged and sum(merged[-1]) == start:
                merged[-1] = (merged[-1][0], merged[-1][1] + size)
            else:
                merged.append((start, size))
        self._free = merged

    def mark_written(self, address: int, nbytes: int) -> None:
        """Tell that the host wrote `nbytes` at `address`."""
        self.shadow[address : address + nbytes] |= WRITTEN

    def mark_unwritten(self, address: int, nbytes: int) -> None:
        """Tell that what lies at `address`, in use, is nobody's."""
        self.shadow[address : address + nbytes] = MAPPED

    def written(self, address: int, nbytes: int) -> bool:
        """Whether each of the `nbytes` at `address` is in use and was written since it was allocated."""
        return bool((self.shadow[address : address + nbytes] == MAPPED | WRITTEN).all())

    @property
    def used(self) -> int:
        """Bytes in allocations."""
        return sum(self.sizes.values())

    def check(self, address: int, nbytes: int, who: str) -> None:
        """Raise Fault where bytes are not in use."""
        if not self.shadow[address : address + nbytes].all():
            raise Fault(f"{who}: {nbytes} bytes at {address:#x} are out of bounds: {self.nearest(address)}")

    def nearest(self, address: int) -> str:
        """Where `address` lies, in words: by how many bytes outside which allocation."""
        if address < FIRST:
            return "a null pointer, or an offset from one"
        if not self.starts:
            return "nothing is allocated"
        k = bisect_right(self.starts, address)
        before = [
            (address - (s + self.sizes[s]) + 1, f"past the end of the {self.sizes[s]} bytes at {s:#x}")
            for s in self.starts[max(k - 1, 0) : k]
        ]
        after = [(s - address, f"before the {self.sizes[s]} bytes at {s:#x}") for s in self.starts[k : k + 1]]
        distance, place = min(before + after)
        return f"{distance} bytes {place}" if distance > 0 else f"within {place[21:]}"


memory = Memory()
