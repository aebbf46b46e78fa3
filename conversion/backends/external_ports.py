"""Inputs and outputs as an external file has them: another layout, dtype, or a fixed batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.core.artifact import Artifact
from conversion.core.errors import UserError

DTYPES: Mapping[str, np.dtype[Any]] = {
    f"tensor({name})": np.dtype(dtype)
    for name, dtype in {
        "float16": np.float16,
        "float": np.float32,
        "double": np.float64,
        "uint8": np.uint8,
        "int8": np.int8,
    }.items()
}
"""ONNX Runtime's names of what images come in."""


@dataclass(frozen=True)
class Port:
    """An input of a file.

    Attributes:
        name: as the file has it.
        dtype: ONNX Runtime's name.
        shape: sizes; what is no whole number is open.
    """

    name: str
    dtype: str
    shape: Sequence[object]

    @property
    def batch(self) -> int:
        """Images that it takes at a time; 0 for any number."""
        first = self.shape[0] if len(self.shape) else 0
        return first if isinstance(first, int) and first > 0 else 0

    def is_channels_first(self, shape: Sequence[int | None]) -> bool:
        """Whether it takes images of ``(..., C)`` as ``(C, ...)``.

        Args:
            shape: of one image, the channels last.
        """
        if len(shape) < 2:
            return False
        return not self._fits(shape) and self._fits((shape[-1], *shape[:-1]))

    def _fits(self, shape: Sequence[int | None]) -> bool:
        sizes = self.shape[1:]
        return len(sizes) == len(shape) and all(
            not isinstance(size, int) or given is None or size in (-1, given)
            for size, given in zip(sizes, shape, strict=True)
        )

    def taken(self, value: np.ndarray) -> np.ndarray:
        """Images in the port's layout and dtype.

        Args:
            value: ``(N, ..., C)``, any numeric dtype.
        """
        if self.is_channels_first(value.shape[1:]):
            value = np.ascontiguousarray(np.moveaxis(value, -1, 1))
        wanted = DTYPES.get(self.dtype, value.dtype)
        if wanted.kind in "iu" and value.dtype.kind == "f":
            ends = np.iinfo(wanted)
            value = np.rint(value).clip(ends.min, ends.max)
        return value.astype(wanted, copy=False)

    def words(self, shape: Sequence[int | None]) -> list[str]:
        """How it differs from the source's port.

        Args:
            shape: of one image, the channels last.
        """
        return [
            *(["channels come first: images are transposed"] * self.is_channels_first(shape)),
            *([f"images come as {self.dtype[7:-1]}"] if self.dtype != "tensor(float)" else []),
            *([f"the batch is fixed at {self.batch}"] if self.batch else []),
        ]


def refuse_halves(artifact: Artifact, count: int) -> None:
    """Refuse a float file whose weights were rounded to float16: its noise is another one.

    Args:
        artifact: the file.
        count: how many tensors it stores in float16.

    Raises:
        UserError: there is one.
    """
    if count:
        raise UserError(
            f"Expected weights in float32 in {artifact.path.name}; {count} tensors are float16, "
            "which moves outputs some 1,000 times as far as rounding in float32 does: judge the "
            "float32 file that it was made from, and compare the two on your images."
        )


def given_back(value: np.ndarray, shape: Sequence[int | None]) -> np.ndarray:
    """An output in the source's layout, in float32.

    Args:
        value: ``(N, ...)`` as the file gives it.
        shape: of one image's output, the channels last.
    """
    if value.dtype.kind == "f":
        value = value.astype(np.float32, copy=False)
    moved = (shape[-1], *shape[:-1]) if shape else ()
    if len(shape) > 1 and value.shape[1:] != tuple(shape) and value.shape[1:] == moved:
        return np.moveaxis(value, 1, -1)
    return value


def batches(feed: Mapping[str, np.ndarray], size: int) -> Iterator[dict[str, np.ndarray]]:
    """Images in batches of one size, the last filled up with its last image.

    Args:
        feed: port to ``(N, ...)``.
        size: images of a batch.
    """
    count = len(next(iter(feed.values())))
    for start in range(0, count, size):
        index = np.minimum(np.arange(start, start + size), count - 1)
        yield {name: value[index] for name, value in feed.items()}
