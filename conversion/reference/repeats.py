"""Rows and columns that Keras repeats, traced so that their sizes stay known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def sizes_kept() -> Iterator[None]:
    """State the sizes of what is repeated, which TensorFlow's own repeat computes.

    The converter to LiteRT infers sizes again and loses them there: behind UpSampling2D it then
    stops at a convolution that has a stride, or no padding and another layer behind it.
    """
    from keras.src.backend.tensorflow import numpy

    repeat = numpy.repeat

    def stating(x: Any, repeats: Any, axis: int | None = None) -> Any:
        found = repeat(x, repeats, axis=axis)
        if axis is None or not isinstance(repeats, int) or x.shape.rank is None:
            return found
        sizes = [None if size is None else int(size) for size in x.shape]
        if sizes[axis] is None or sizes.count(None) > 1:
            return found
        sizes[axis] *= repeats
        return numpy.reshape(found, [-1 if size is None else size for size in sizes])

    numpy.repeat = stating
    try:
        yield
    finally:
        numpy.repeat = repeat
