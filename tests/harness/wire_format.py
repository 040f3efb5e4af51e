"""Protobuf's wire format by hand, for what Python's messages can't say exactly.

Python reads and writes a float field through a double, which changes the bits of a
signalling NaN; and it writes only well-formed messages.
"""

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


def varint(value: int) -> bytes:
    """A non-negative integer, or a negative one as its 64-bit two's complement."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field: bytes, a message or packed numbers."""
    return varint(number << 3 | LENGTH) + varint(len(content)) + content


def number_field(number: int, value: int) -> bytes:
    """A varint field."""
    return varint(number << 3 | VARINT) + varint(value)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The integer at `position` and the position after it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def fields(data: bytes) -> Iterator[tuple[int, int, bytes | int]]:
    """(number, wire type, content) of each field of a message, in its order."""
    position = 0
    while position < len(data):
        key, position = read_varint(data, position)
        number, wire_type = key >> 3, key & 7
        content: bytes | int
        if wire_type == VARINT:
            content, position = read_varint(data, position)
        else:
            if wire_type == LENGTH:
                size, position = read_varint(data, position)
            else:
                size = {FIXED64: 8, FIXED32: 4}[wire_type]
            content = data[position : position + size]
            position += size
        yield number, wire_type, content
