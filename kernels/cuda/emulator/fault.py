"""The one error of the emulator."""


class Fault(RuntimeError):
    """What a kernel did wrong: which kernel, block, thread and instruction, and why it would fail on a GPU."""
