"""Products on AMX where there is none: its instructions become calls of functions that do what Intel's manual says.

Run by test_precision.py in a process of its own, with a kernel cache of its own.
"""

import ctypes

import numpy as np
from llvmlite import ir

from octavo.kernels import device, matmul
from octavo.kernels.cpu import matmul as blocked
from octavo.kernels.cpu import tile, unit

TILES = np.zeros((8, 16, 64), np.uint8)
CONFIGURED = []
POINTER, NUMBER = ctypes.c_void_p, ctypes.c_int64


def _rows(address, stride):
    """The 16 rows of 64 bytes that lie `stride` bytes apart."""
    last = 15 * stride + 64
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * last).from_address(address))
    return np.lib.stride_tricks.as_strided(memory, (16, 64), (stride, 1))


def ldtilecfg(address):
    table = np.ctypeslib.as_array((ctypes.c_uint8 * 64).from_address(address))
    assert table[0] == 1 and (table[16:32].view(np.uint16) == 64).all() and (table[48:56] == 16).all()
    CONFIGURED.append(True)


def tilerelease():
    CONFIGURED.pop()


def tilezero(t):
    TILES[t] = 0


def tileloadd64(t, address, stride):
    TILES[t] = _rows(address, stride)


def tilestored64(t, address, stride):
    _rows(address, stride)[...] = TILES[t]


def tdpbf16ps(c, a, b):
    assert CONFIGURED
    wide = [(TILES[t].view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(16, 16, 2) for t in (a, b)]
    TILES[c].view(np.float32)[...] += np.einsum("rpe,pse->rs", *wide)


CALLBACKS = {
    name: ctypes.CFUNCTYPE(None, *kinds)(function)
    for name, function, kinds in [
        ("ldtilecfg", ldtilecfg, [POINTER]),
        ("tilerelease", tilerelease, []),
        ("tilezero", tilezero, [ctypes.c_int8]),
        ("tileloadd64", tileloadd64, [ctypes.c_int8, POINTER, NUMBER]),
        ("tilestored64", tilestored64, [ctypes.c_int8, POINTER, NUMBER]),
        ("tdpbf16ps", tdpbf16ps, [ctypes.c_int8] * 3),
    ]
}


def call(b, name, *args):
    """What stands in for `tile._amx`."""
    function = ir.FunctionType(ir.VoidType(), [arg.type for arg in args])
    address = ir.IntType(64)(ctypes.cast(CALLBACKS[name], ctypes.c_void_p).value)
    b.call(b.inttoptr(address, function.as_pointer()), args)


def main():
    tile._amx, unit.bf16, blocked.SMALL = call, lambda: "amx", 0
    rng = np.random.default_rng(0)
    for precision, error in (("medium", 2**-7 + 2**-16), ("high", 3 * 2**-16)):
        device._precision = precision
        for m, k, n in ((1, 1, 1), (32, 32, 32), (65, 63, 40), (40, 300, 33), (130, 70, 129)):
            a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
            expected, scale = a.astype(np.float64) @ b, np.abs(a) @ np.abs(b)
            for x in (a, np.asfortranarray(a)):
                for y in (b, np.asfortranarray(b)):
                    off = np.abs(matmul(x, y) - expected) / scale
                    assert off.max() <= error + 1e-6, f"{precision} {m} x {k} x {n}: off by {off.max():.1e}"
    assert not CONFIGURED


if __name__ == "__main__":
    main()
