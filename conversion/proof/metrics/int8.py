"""Eight-bit arithmetic by our own formulas: what scales, zero points and integers must be.

They say what ONNX Runtime 1.31 and PyTorch's eager mode do, rounding by rounding, so that a file
can be compared bit by bit. The quantizers themselves are never asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conversion.proof.metrics.folding import along

INT32 = np.iinfo(np.int32)
SAFETY = 1.0001
"""ONNX Runtime's factor by which a bias's scale stays above the least one that fits int32."""


@dataclass(frozen=True, eq=False)
class Steps:
    """``real = (integer - zero point) * scale``.

    Attributes:
        scale: float32; a number, or one a channel.
        zero_point: of the integers' dtype, as many.
    """

    scale: np.ndarray
    zero_point: np.ndarray


def of_range(low: float, high: float, dtype: str) -> Steps:
    """Scale and zero point of an activation with a recorded range.

    The range is widened to hold 0 and spread over all 256 integers.

    Args:
        low: the lowest value seen.
        high: the highest.
        dtype: ``uint8`` or ``int8``.
    """
    least = float(min(np.float32(low), np.float32(0)))
    most = float(max(np.float32(high), np.float32(0)))
    return _asymmetric(least, most, np.dtype(dtype))


def of_weights(
    kernel: np.ndarray,
    dtype: str,
    axis: int | None = None,
    symmetric: bool = True,
    seven_bits: bool = False,
) -> Steps:
    """Scale and zero point of a constant in ONNX Runtime's files.

    Args:
        kernel: float32.
        dtype: ``uint8`` or ``int8``.
        axis: of the channels; None for one scale for all.
        symmetric: whether 0 stands in the middle of the integers.
        seven_bits: whether the integers spread over -64 to 64, or 0 to 127, only.
    """
    rows = kernel.reshape(1, -1) if axis is None else _rows(kernel, axis)
    kind, made = np.dtype(dtype), []
    for row in rows:
        low, high = min(float(row.min()), 0.0), max(float(row.max()), 0.0)
        of_ends = _symmetric if symmetric else _asymmetric
        made.append(of_ends(low, high, kind, seven_bits))
    if axis is None:
        return made[0]
    return Steps(
        np.array([each.scale for each in made], np.float32),
        np.array([each.zero_point for each in made], kind),
    )


def raised(kernel: Steps, read: np.ndarray, bias: np.ndarray) -> Steps:
    """A kernel's scales, raised where the bias's scale would be too small for int32.

    ONNX Runtime does so for int8 kernels whose zero points are all 0.

    Args:
        kernel: as its values alone give them.
        read: the scale of what the operator reads.
        bias: ``(C,)`` float32.
    """
    span = float(INT32.max) - float(INT32.min + 1)
    scales = kernel.scale.reshape(-1).copy()
    whole = kernel.scale.ndim == 0
    sizes = [np.float64(np.abs(bias).max(initial=0.0))] if whole else np.abs(bias)
    for index, size in enumerate(sizes):
        least = SAFETY * (2.0 * size) / np.float64(span)  # in the precision of NumPy's promotion
        step = np.float64(read) * np.float64(scales[index])
        if 0.0 < step < least:
            scales[index] = np.float64(scales[index]) * (least / step)
    return Steps(scales.reshape(kernel.scale.shape), kernel.zero_point)


def integers(values: np.ndarray, steps: Steps, axis: int | None = None) -> np.ndarray:
    """A constant's integers: divided in float32, rounded half to even, clipped.

    Args:
        values: float32.
        steps: their scale and zero point.
        axis: of the channels; None for one scale for all.
    """
    scale, zero = _laid(steps, values.ndim, axis)
    ends = np.iinfo(steps.zero_point.dtype)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = np.rint(values.astype(np.float32) / scale) + zero.astype(np.float32)
    whole: np.ndarray = np.clip(found, ends.min, ends.max).astype(steps.zero_point.dtype)
    return whole


def bias_scale(read: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The scale of a bias: that of what is read times that of the kernel, rounded to float32."""
    product: np.ndarray = np.asarray(read, np.float32) * np.asarray(kernel, np.float32)
    return product


def bias_integers(bias: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A bias's integers: divided in float64, rounded half to even, clipped to int32."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.rint(bias.astype(np.float64) / np.asarray(scale, np.float64))
    return np.clip(found, INT32.min, INT32.max).astype(np.int32)


def reals(stored: np.ndarray, steps: Steps, axis: int | None = None) -> np.ndarray:
    """What stored integers stand for, in float64."""
    scale, zero = _laid(steps, stored.ndim, axis)
    real: np.ndarray = (stored.astype(np.float64) - zero) * scale.astype(np.float64)
    return real


def in_steps(value: np.ndarray, steps: Steps) -> np.ndarray:
    """Values rounded to the nearest integer of some steps, and cut off at their ends.

    Args:
        value: any shape.
        steps: one scale and zero point.
    """
    ends, scale = np.iinfo(steps.zero_point.dtype), float(steps.scale)
    zero = int(steps.zero_point)
    whole = np.clip(np.rint(value / scale) + zero, ends.min, ends.max)
    return np.asarray((whole - zero) * scale)


def torch_scale(kernel: np.ndarray, per_channel: bool, seven_bits: bool) -> np.ndarray:
    """The scale of a kernel in PyTorch's symmetric observers: 127.5 steps at most, or 63.

    Args:
        kernel: ``(O, ...)`` float32.
        per_channel: one a channel of the first axis.
        seven_bits: whether the integers spread over -63 to 63 only.
    """
    rows = _rows(kernel, 0) if per_channel else kernel.reshape(1, -1)
    steps = np.float32(63 if seven_bits else 127.5)
    scale = np.maximum(np.abs(rows).max(axis=1) / steps, np.finfo(np.float32).eps)
    found: np.ndarray = scale if per_channel else scale.reshape(())
    return found


def torch_integers(kernel: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A kernel's integers in PyTorch, which multiplies with the rounded inverse of the scale."""
    inverse = along(np.float32(1.0) / scale.astype(np.float32), kernel.ndim, 0)
    whole: np.ndarray = np.clip(np.rint(kernel * inverse), -128, 127).astype(np.int8)
    return whole


def _asymmetric(low: float, high: float, dtype: np.dtype, seven_bits: bool = False) -> Steps:
    ends = np.iinfo(dtype)
    scale = (high - low) / (127 if seven_bits else ends.max - ends.min)
    if scale < np.finfo(np.float32).tiny:
        return Steps(np.array(1.0, np.float32), np.array(0, dtype))
    return Steps(np.array(scale, np.float32), np.array(np.rint(ends.min - low / scale), dtype))


def _symmetric(low: float, high: float, dtype: np.dtype, seven_bits: bool = False) -> Steps:
    lowest, highest = _ends(dtype, seven_bits)
    scale = 2.0 * max(-low, high) / (highest - lowest)
    if scale < np.finfo(np.float32).tiny:
        return Steps(np.array(1.0, np.float32), np.array(0, dtype))
    return Steps(np.array(scale, np.float32), np.array(np.rint((lowest + highest) / 2), dtype))


def _ends(dtype: np.dtype, seven_bits: bool) -> tuple[int, int]:
    """The integers of symmetric weights: -127 to 127, -64 to 64, or 0 to 255."""
    ends = np.iinfo(dtype)
    if dtype.kind != "i":
        return ends.min, ends.max
    return (-64, 64) if seven_bits else (-ends.max, ends.max)


def _rows(kernel: np.ndarray, axis: int) -> np.ndarray:
    moved = np.moveaxis(kernel, axis, 0)
    return moved.reshape(len(moved), -1)


def _laid(steps: Steps, rank: int, axis: int | None) -> tuple[np.ndarray, np.ndarray]:
    pair = (steps.scale, steps.zero_point)
    if axis is None or np.size(steps.scale) == 1:
        return pair[0].reshape(()), pair[1].reshape(-1)[0]
    scale, zero = (along(np.broadcast_to(each, pair[0].shape), rank, axis) for each in pair)
    return scale, zero
