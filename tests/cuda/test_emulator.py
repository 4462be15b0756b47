"""The emulator against NumPy, and with bugs planted in the PTX."""

import math
import re

import numpy as np
import pytest
from cuda_kernels import commit, copy16, ldmatrix, mma, ptx_of, run, shared_address, vector, wait1
from numba import cuda
from numba.cuda import float32, int32, int64, types, uint16, uint32

from octavo.kernels.cuda.emulator import Fault, Program, memory
from octavo.kernels.cuda.emulator.arithmetic import from_bf16, to_bf16

pytestmark = pytest.mark.cuda
SCHEDULES = ("lockstep", "run-ahead")
F32, F64, I32, I64, U16 = (vector(x) for x in (float32, types.float64, int32, int64, uint16))


def saxpy(x, y, a, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = a * x[i] + y[i]


def block_sum(x, out, n):
    partial = cuda.shared.array(4, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    s = x[i] if i < n else float32(0)
    for k in (16, 8, 4, 2, 1):
        s += cuda.shfl_xor_sync(0xFFFFFFFF, s, k)
    if t % 32 == 0:
        partial[t // 32] = s
    cuda.syncthreads()
    if t == 0:
        out[cuda.blockIdx.x] = partial[0] + partial[1] + partial[2] + partial[3]


def histogram(x, counts, n):
    i = cuda.grid(1)
    if i < n:
        cuda.atomic.add(counts, x[i], 1)


def collatz(x, out, n):
    i = cuda.grid(1)
    if i < n:
        v = x[i]
        steps = 0
        while v != 1:
            v = 3 * v + 1 if v % 2 else v // 2
            steps += 1
        out[i] = steps


def table(x, out, n):
    i = cuda.grid(1)
    if i < n:
        local = cuda.local.array(8, float32)
        for k in range(8):
            local[k] = x[i] * float32(k)
        out[i] = local[int(x[i]) % 8]


def divisions(x, y, out, n):
    i = cuda.grid(1)
    if i < n:
        out[2 * i] = x[i] // y[i]
        out[2 * i + 1] = x[i] % y[i]


def functions(x, out, n):
    i = cuda.grid(1)
    if i < n:
        v = x[i]
        out[7 * i] = math.exp(v)
        out[7 * i + 1] = math.log(abs(v))
        out[7 * i + 2] = math.sin(v)
        out[7 * i + 3] = math.cos(v)
        out[7 * i + 4] = math.tanh(v)
        out[7 * i + 5] = math.erf(v)
        out[7 * i + 6] = math.pow(abs(v), v / 8)


LD, STAGE = 40, 64 * 40


def product(A, B, C, K):
    """C = A Bᵀ, one block of 128 threads a tile of 64 rows, 64 columns; a ring of three stages of 32."""
    ring = cuda.shared.array(0, uint16)
    t = int32(cuda.threadIdx.x)
    lane, warp = t & int32(31), t >> int32(5)
    base = shared_address(ring, int32(0))
    row, column = t >> int32(2), (t & int32(3)) * int32(8)
    bm = int32(cuda.blockIdx.x) * int32(64)
    steps = int32(K) // int32(32)
    acc = cuda.local.array(32, float32)
    for k in range(32):
        acc[k] = float32(0)
    a_lane = ((warp * int32(16) + (lane & int32(15))) * int32(LD) + (lane >> int32(4)) * int32(8)) * int32(2)
    b_row = (lane & int32(7)) + ((lane >> int32(4)) << int32(3))
    b_lane = (b_row * int32(LD) + ((lane >> int32(3)) & int32(1)) * int32(8)) * int32(2)
    for s in range(-2, steps):
        if s >= 0:
            wait1()
            cuda.syncthreads()
        if s + int32(2) < steps:
            stage = uint32((s + int32(2)) % int32(3)) * uint32(4 * STAGE)
            for h in range(2):
                r = row + int32(32 * h)
                to = base + stage + uint32((r * int32(LD) + column) * int32(2))
                k = int64(s + int32(2)) * int64(32) + int64(column)
                copy16(to, A, int64(bm + r) * int64(K) + k)
                copy16(to + uint32(2 * STAGE), B, int64(r) * int64(K) + k)
        commit()
        if s >= 0:
            here = base + uint32(s % int32(3)) * uint32(4 * STAGE)
            for k in range(2):
                a0, a1, a2, a3 = ldmatrix(here + uint32(a_lane + int32(32 * k)))
                for j in range(4):
                    b = ldmatrix(here + uint32(2 * STAGE) + uint32(b_lane + int32((16 * j * LD + 16 * k) * 2)))
                    for h in range(2):
                        x = 8 * j + 4 * h
                        d = mma(
                            a0, a1, a2, a3, b[2 * h], b[2 * h + 1], acc[x], acc[x + 1], acc[x + 2], acc[x + 3]
                        )  # fmt: skip
                        acc[x] = d[0]
                        acc[x + 1] = d[1]
                        acc[x + 2] = d[2]
                        acc[x + 3] = d[3]
    for j in range(8):
        r = bm + warp * int32(16) + (lane >> int32(2))
        c = int32(8 * j) + (lane & int32(3)) * int32(2)
        for h in range(2):
            C[(r + int32(8 * h)) * int32(64) + c] = acc[4 * j + 2 * h]
            C[(r + int32(8 * h)) * int32(64) + c + int32(1)] = acc[4 * j + 2 * h + 1]


@pytest.fixture(scope="module")
def product_ptx():
    return ptx_of(product, U16, U16, F32, int32, launch_bounds=128)


RING = 3 * 4 * STAGE
_RNG = np.random.default_rng(0)
A = to_bf16(_RNG.standard_normal((128, 160), np.float32))
B = to_bf16(_RNG.standard_normal((64, 160), np.float32))
C = (from_bf16(A.ravel()).reshape(A.shape) @ from_bf16(B.ravel()).reshape(B.shape).T).ravel()


def multiply(ptx, schedule, shared=RING):
    out = np.zeros(C.size, np.float32)
    return run(ptx, 2, 128, A.ravel(), B.ravel(), out, 160, shared=shared, schedule=schedule)[2]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("n", [1, 63, 1000])
def test_saxpy(n, schedule):
    x, y = (np.random.default_rng(n).standard_normal(n).astype(np.float32) for _ in range(2))
    out = run(ptx_of(saxpy, F32, F32, float32, int32), 8, 128, x, y, 0.5, n, schedule=schedule)[1]
    np.testing.assert_allclose(out, np.float32(0.5) * x + y, rtol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_block_sum(schedule):
    x = np.arange(1000, dtype=np.float32)
    out = run(ptx_of(block_sum, F32, F32, int32), 8, 128, x, np.zeros(8, np.float32), 1000, schedule=schedule)[1]
    np.testing.assert_array_equal(out, np.append(x, np.zeros(24)).reshape(8, 128).sum(1))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_atomics_and_divergent_loops(schedule):
    x = np.random.default_rng(0).integers(0, 10, 500)
    counts = run(ptx_of(histogram, I64, I64, int32), 4, 128, x, np.zeros(10, np.int64), 500, schedule=schedule)[1]
    np.testing.assert_array_equal(counts, np.bincount(x, minlength=10))
    x = np.arange(1, 200)
    steps = run(ptx_of(collatz, I64, I64, int32), 2, 128, x, np.zeros(199, np.int64), 199, schedule=schedule)[1]
    assert steps[:10].tolist() == [0, 1, 7, 2, 5, 8, 16, 3, 19, 6]
    assert steps[26] == 111


def test_local_array():
    x = np.arange(100, dtype=np.float32)
    out = run(ptx_of(table, F32, F32, int32), 1, 128, x, np.zeros(100, np.float32), 100)[1]
    np.testing.assert_array_equal(out, x * (x % 8))


@pytest.mark.parametrize(("kind", "dtype"), [(I32, np.int32), (I64, np.int64)])
def test_integer_division(kind, dtype):
    x = np.array([7, -7, 7, -7, 2**31 - 1, 0], dtype)
    y = np.array([2, 2, -2, -2, 3, 5], dtype)
    out = run(ptx_of(divisions, kind, kind, kind, int32), 1, 32, x, y, np.zeros(12, dtype), 6)[2]
    np.testing.assert_array_equal(out, np.stack([x // y, x % y], 1).ravel())


@pytest.mark.parametrize(("kind", "dtype", "tolerance"), [(F32, np.float32, 2e-6), (F64, np.float64, 1e-14)])
def test_functions(kind, dtype, tolerance):
    x = np.concatenate([np.linspace(-8, 8, 198), [1e-5, 60.0]]).astype(dtype)
    x = np.append(x, dtype(70)) if dtype == np.float32 else np.append(x, 60.5)
    names = ("exp", "log", "sin", "cos", "tanh", "erf", "pow")
    out = run(ptx_of(functions, kind, kind, int32), 2, 128, x, np.zeros(7 * x.size, dtype), x.size)[1].reshape(-1, 7)
    d = x.astype(np.float64)
    expected = (np.exp(d), np.log(np.abs(d)), np.sin(d), np.cos(d), np.tanh(d), np.vectorize(math.erf)(d))
    for name, got, right in zip(names, out.T, (*expected, np.abs(d) ** (d / 8)), strict=True):
        np.testing.assert_allclose(got, right, rtol=8 * tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("v", [1e6, 1e30])
def test_large_angles(v):
    for kind, dtype, tolerance in ((F32, np.float32, 1e-6), (F64, np.float64, 1e-14)):
        x = np.array([v, -v / 3], dtype)
        out = run(ptx_of(functions, kind, kind, int32), 1, 32, x, np.zeros(14, dtype), 2)[1].reshape(2, 7)
        np.testing.assert_allclose(out[:, 2], [math.sin(y) for y in x.tolist()], atol=tolerance)
        np.testing.assert_allclose(out[:, 3], [math.cos(y) for y in x.tolist()], atol=tolerance)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_product(product_ptx, schedule):
    np.testing.assert_allclose(multiply(product_ptx, schedule), C, atol=1e-4)


MUTATIONS = {
    "no barrier": lambda p: re.sub(r"\n\s*bar\.sync[^;]*;", "", p),
    "wait for too little": lambda p: p.replace("cp.async.wait_group 1", "cp.async.wait_group 2"),
    "registers swapped": lambda p: re.sub(r"(mma\.sync.*?, \{.*?\}, \{)(%r\d+),(%r\d+)", r"\1\3,\2", p, count=1),
    "wrong row": lambda p: re.sub(r"(ldmatrix[^\[]*\[)(%r\d+)\]", r"\1\2+16]", p, count=1),
    "off by one": lambda p: re.sub(r"(cp\.async\.cg[^;]*\[%rd\d+)\]", r"\1+16]", p, count=1),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_planted_bugs_are_caught(product_ptx, mutation):
    mutated = MUTATIONS[mutation](product_ptx)
    assert mutated != product_ptx
    caught = 0
    for schedule in SCHEDULES:
        try:
            caught += not np.allclose(multiply(mutated, schedule), C, atol=1e-4)
        except Fault:
            caught += 1
    assert caught


def test_too_little_shared_memory(product_ptx):
    with pytest.raises(Fault, match=r"product, block \(0, 0, 0\), thread .* past its end: .* too little shared memory"):
        multiply(product_ptx, "lockstep", RING - 32)


def test_out_of_bounds():
    ptx = ptx_of(saxpy, F32, F32, float32, int32)
    with pytest.raises(
        Fault,
        match=r"saxpy, block .*, thread \(100, 0, 0\).*out of bounds.*past the end of the 400 bytes",
    ):
        run(ptx, 1, 128, np.zeros(100, np.float32), np.zeros(100, np.float32), 1.0, 101)


def test_never_written_and_misaligned_and_null():
    ptx = ptx_of(saxpy, F32, F32, float32, int32)
    x = memory.allocate(400)

    def arguments(p):
        return [0, 0, 1, 4, p, 1, 4] * 2 + [1.0, 1]

    try:
        with pytest.raises(Fault, match="never written"):
            Program(ptx).launch((1, 1, 1), (32, 1, 1), arguments(x))
        with pytest.raises(Fault, match="not a multiple of 4"):
            Program(ptx).launch((1, 1, 1), (32, 1, 1), arguments(x + 2))
        with pytest.raises(Fault, match="null pointer"):
            Program(ptx).launch((1, 1, 1), (32, 1, 1), arguments(0))
    finally:
        memory.free(x)


def _barriers(out):
    if cuda.threadIdx.x < 16:
        cuda.syncthreads()
        out[0] = float32(1)
    else:
        cuda.syncthreads()
        out[1] = float32(1)


def _shared_unwritten(out):
    s = cuda.shared.array(64, float32)
    if cuda.threadIdx.x < 32:
        s[cuda.threadIdx.x] = float32(1)
    cuda.syncthreads()
    out[cuda.threadIdx.x] = s[cuda.threadIdx.x]


def _race(out):
    s = cuda.shared.array(64, float32)
    s[cuda.threadIdx.x] = float32(cuda.threadIdx.x)
    out[cuda.threadIdx.x] = s[63 - cuda.threadIdx.x]


def _incomplete(out):
    if cuda.threadIdx.x < 16:
        out[cuda.threadIdx.x] = cuda.shfl_xor_sync(0xFFFFFFFF, out[cuda.threadIdx.x], 1)
    cuda.syncthreads()
    out[cuda.threadIdx.x] += float32(1)


@pytest.mark.parametrize(
    ("kernel", "text"),
    [
        (_barriers, "not all threads of the block reach"),
        (_shared_unwritten, "shared memory at offset 128 that were never"),
        (_race, "race|never written"),
        (_incomplete, "warp is incomplete"),
    ],
)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_faults_between_threads(kernel, text, schedule):
    with pytest.raises(Fault, match=text):
        run(ptx_of(kernel, F32), 1, 64, np.zeros(64, np.float32), schedule=schedule)


def test_unknown_instruction(product_ptx):
    with pytest.raises(Fault, match=r"does not know `wgmma\.fence"):
        multiply(product_ptx.replace("bar.sync", "wgmma.fence.sync.aligned; bar.sync", 1), "lockstep")


def test_vectors():
    ptx = """
    .entry swap(.param .u64 x, .param .u64 y) {
    .reg .b64 %rd<9>; .reg .f32 %f<5>; .reg .b32 %r<3>;
    ld.param.u64 %rd1, [x]; ld.param.u64 %rd2, [y];
    mov.u32 %r1, %tid.x; mul.wide.u32 %rd3, %r1, 16;
    add.s64 %rd4, %rd1, %rd3; add.s64 %rd5, %rd2, %rd3;
    ld.global.nc.v4.f32 {%f1, %f2, %f3, %f4}, [%rd4];
    st.global.v2.f32 [%rd5+8], {%f1, %f2};
    st.global.v2.f32 [%rd5], {%f3, %f4};
    ret; }"""
    x, y = memory.allocate(512), memory.allocate(512)
    memory.bytes[x : x + 512] = np.arange(128, dtype=np.float32).view(np.uint8)
    memory.mark_written(x, 512)
    Program(ptx).launch((1, 1, 1), (32, 1, 1), [x, y])
    out = memory.bytes[y : y + 512].view(np.float32).reshape(-1, 2, 2)
    np.testing.assert_array_equal(out, np.arange(128).reshape(-1, 2, 2)[:, ::-1])
    memory.free(x)
    memory.free(y)


def test_memory_is_reused():
    a, b = memory.allocate(1000), memory.allocate(1000)
    assert a % 256 == b % 256 == 0 and b - a >= 1256 - 256
    memory.mark_written(a, 1000)
    assert memory.written(a, 1000) and not memory.written(b, 1)
    memory.free(a)
    assert memory.allocate(500) == a and not memory.written(a, 1)
    memory.free(a)
    memory.free(b)
    with pytest.raises(Fault, match="not the address"):
        memory.free(b)
