"""Each element type: its numpy type, and the TensorProto field that carries it typed."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from harness import wire_format


@dataclass(frozen=True)
class Element:
    """One element type; `name` is as in `identity_NAME`."""

    name: str
    field: str
    # What one entry of a field of floats is; None: the field holds varints, or bytes.
    packed_as: str | None = None
    # Entries of the field for one element.
    parts: int = 1

    @property
    def number(self) -> int:
        return types_pb2.DataType.Value(f"DT_{self.name.upper()}")

    @property
    def tf(self) -> tf.DType:
        return tf.as_dtype(self.number)

    @property
    def numpy(self) -> np.dtype:
        return np.dtype(self.tf.as_numpy_dtype)

    @property
    def is_string(self) -> bool:
        return self.name == "string"

    @property
    def field_number(self) -> int:
        return tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name[self.field].number


ELEMENTS = (
    Element("float", "float_val", "<u4"),
    Element("double", "double_val", "<u8"),
    Element("half", "half_val"),
    Element("bfloat16", "half_val"),
    Element("int8", "int_val"),
    Element("int16", "int_val"),
    Element("int32", "int_val"),
    Element("int64", "int64_val"),
    Element("uint8", "int_val"),
    Element("uint16", "int_val"),
    Element("uint32", "uint32_val"),
    Element("uint64", "uint64_val"),
    Element("bool", "bool_val"),
    Element("string", "string_val"),
    Element("complex64", "scomplex_val", "<u4", parts=2),
    Element("complex128", "dcomplex_val", "<u8", parts=2),
)

# Every field that can hold elements.
VALUE_FIELDS = frozenset(element.field for element in ELEMENTS) | {"tensor_content"}


def typed_bytes(element: Element, elements: bytes) -> bytes:
    """A typed field, on the wire, holding these little-endian elements bit for bit."""
    if element.packed_as is not None:
        return wire_format.field(element.field_number, elements)
    if element.name in ("half", "bfloat16"):
        numbers = np.frombuffer(elements, "<u2")
    else:
        numbers = np.frombuffer(elements, element.numpy.newbyteorder("<"))
    packed = b"".join(wire_format.varint(int(number)) for number in numbers)
    return wire_format.field(element.field_number, packed)


def shape_bytes(shape: tuple[int, ...]) -> bytes:
    """The `tensor_shape` field, on the wire."""
    dims = (wire_format.field(2, wire_format.number_field(1, size)) for size in shape)
    return wire_format.field(2, b"".join(dims))


def read_typed(element: Element, proto: bytes) -> bytes:
    """The little-endian elements in the typed field of a TensorProto's wire bytes."""
    elements = b""
    for number, wire_type, content in wire_format.fields(proto):
        if number != element.field_number:
            continue
        assert wire_type == wire_format.LENGTH, "typed values are packed"
        if element.packed_as is not None:
            elements += content
            continue
        position = 0
        values = []
        while position < len(content):
            value, position = wire_format.read_varint(content, position)
            values.append(value)
        width = 2 if element.name in ("half", "bfloat16") else element.numpy.itemsize
        # A negative number is ten bytes on the wire: its low bytes are the element.
        elements += b"".join((v & (1 << 8 * width) - 1).to_bytes(width, "little") for v in values)
    return elements
