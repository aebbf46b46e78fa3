"""Refuses the damage on which HDF5 never returns: a global heap with a hole of no size.

HDF5 keeps strings in global heaps and walks each from object to object. A free object of size 0,
which a tail of zeros leaves behind, makes it walk on the spot (seen with HDF5 1.14.6; one in ten
zeroed tails of a small model), and no signal handler of Python's runs meanwhile.
"""

from __future__ import annotations

import re
import struct

from conversion.core.errors import UserError

HEADER = re.compile(rb"GCOL\x01\0\0\0(.{8})", re.DOTALL)
OBJECT = struct.Struct("<HHIQ")
"""Index, references, reserved, size: the header of an object; index 0 is free space."""


def refuse_endless_heaps(content: bytes) -> None:
    """Refuse a file whose global heaps cannot be walked to their end.

    Args:
        content: the file's bytes.

    Raises:
        UserError: a heap has a free object of size 0.
    """
    for found in HEADER.finditer(content):
        at, end = found.end(), found.start() + int.from_bytes(found[1], "little")
        while at + OBJECT.size <= min(end, len(content)):
            index, _, _, size = OBJECT.unpack_from(content, at)
            if index == size == 0:
                raise UserError(f"Expected whole strings in the file; the heap at {at} has a hole.")
            at += size if index == 0 else OBJECT.size + -(-size // 8) * 8
