"""rtpengine's wire format."""

from __future__ import annotations

from typing import Any


def encode(value: Any) -> bytes:
    """Texts, numbers, lists and dictionaries; texts are latin-1 inside this program."""
    if isinstance(value, int):
        return f"i{value}e".encode()
    if isinstance(value, str):
        data = value.encode("latin-1", "replace")
        return f"{len(data)}:".encode() + data
    if isinstance(value, list):
        return b"l" + b"".join(encode(item) for item in value) + b"e"
    return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"


def decode(data: bytes) -> Any:
    """The value; a ValueError when it is none."""
    value, rest = take(data)
    if rest:
        raise ValueError("more than one value")
    return value


def take(data: bytes) -> tuple[Any, bytes]:
    """The first value and what follows it."""
    kind = data[:1]
    if kind == b"i":
        number, _, rest = data[1:].partition(b"e")
        return int(number), rest
    if kind.isdigit():
        size, _, rest = data.partition(b":")
        return rest[: int(size)].decode("latin-1"), rest[int(size) :]
    if kind not in (b"l", b"d"):
        raise ValueError("no value")
    items, data = [], data[1:]
    while data[:1] != b"e":
        item, data = take(data)
        items.append(item)
    return (items if kind == b"l" else dict(zip(items[::2], items[1::2], strict=True))), data[1:]
