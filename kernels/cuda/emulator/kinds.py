"""PTX types as NumPy types."""

WIDTHS = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}
_FLOATS = {"f16": "f2", "f32": "f4", "f64": "f8", "pred": "?"}


class Unknown(Exception):
    """An instruction or a form of one that the emulator does not know."""


def dtype_of(kind: str) -> str:
    """The NumPy type of a PTX type."""
    if kind in _FLOATS:
        return _FLOATS[kind]
    if kind in ("f16x2", "bf16x2", "tf32"):
        return "u4"
    if kind == "bf16":
        return "u2"
    if kind[0] not in "usb":
        raise Unknown
    return ("i" if kind[0] == "s" else "u") + str(int(kind[1:]) // 8)
