"""How Keras's calls are traced where a converter is to write them down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf


@contextmanager
def sizes_inferred() -> Iterator[None]:
    """Let a reshape infer its size of the batch, which Keras computes.

    The arithmetic of that size would stand in the file: TensorFlow's optimizer folds it in most
    models, and in some of those in most conversions only.
    """
    from keras.src.backend.tensorflow import numpy

    reshape = numpy.reshape

    def inferring(x: Any, newshape: Any) -> Any:
        sizes = list(newshape) if isinstance(newshape, list | tuple) else []
        computed = [index for index, size in enumerate(sizes) if tf.is_tensor(size)]
        if len(computed) == 1 and all(tf.is_tensor(size) or size > 0 for size in sizes):
            sizes[computed[0]] = -1
            return reshape(x, sizes)
        return reshape(x, newshape)

    numpy.reshape = inferring
    try:
        yield
    finally:
        numpy.reshape = reshape


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
        sizes = [-1 if size is None else int(size) for size in x.shape]
        if sizes[axis] < 0 or sizes.count(-1) > 1:
            return found
        sizes[axis] *= repeats
        return numpy.reshape(found, sizes)

    numpy.repeat = stating
    try:
        yield
    finally:
        numpy.repeat = repeat


@contextmanager
def traced_plainly() -> Iterator[None]:
    """Trace grouped convolutions as operators: on the CPU, Keras gives them to a compiler."""
    from keras.src.backend.tensorflow import nn

    class Plain:
        """TensorFlow, whose functions are not compiled."""

        @staticmethod
        def function(*_: Any, **__: Any) -> Callable[[Any], Any]:
            return lambda function: function

        def __getattr__(self, name: str) -> Any:
            return getattr(tf, name)

    nn.tf = Plain()
    try:
        yield
    finally:
        nn.tf = tf
