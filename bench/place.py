"""Where the sides work: "cpu" or "cuda", as the option --device says to the processes of a benchmark."""

import os
import sys
from typing import Any

VARIABLE = "OCTAVO_BENCH_DEVICE"
DEVICE = os.environ.get(VARIABLE, "cpu")
BATCH = 1 if DEVICE == "cpu" else 20  # calls that are timed together: a GPU works while Python goes on


def placed(x: Any) -> Any:
    """An array, or those in a list, of NumPy or PyTorch, on the device."""
    if DEVICE == "cpu":
        return x
    if isinstance(x, list):
        return [placed(e) for e in x]
    if hasattr(x, "is_cuda"):  # a tensor of PyTorch
        return x.detach().to(DEVICE).requires_grad_(x.requires_grad)
    from octavo.kernels import device

    return device.to(x, device.choose(DEVICE)) if device.is_array(x) else x


def finish() -> None:
    """Wait for what was given to the device."""
    if DEVICE != "cpu":
        from octavo.kernels import device

        device.synchronize()
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.synchronize()


def bandwidth() -> float:
    """Bytes read and written a second by a copy of an array far larger than the GPU's cache."""
    import time

    from octavo.kernels import device

    source, target = (device.zeros(1 << 27, "f4", device.choose(DEVICE)) for _ in range(2))
    device.copy(source, target)
    finish()
    start = time.perf_counter()
    for _ in range(BATCH):
        device.copy(source, target)
    finish()
    return 2 * source.nbytes * BATCH / (time.perf_counter() - start)
