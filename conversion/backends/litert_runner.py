"""The runner of LiteRT files: float32 outside, whatever numbers the file has inside."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from conversion.backends.litert_file import load, ports
from conversion.core.errors import RunFailed, UserError

KEPT = 4
"""Batch sizes that a runner keeps an interpreter for: another size is another plan of memory."""


class LitertRunner:
    """A `.tflite` file as a user would deploy it: the CPU with its default delegate, XNNPACK.

    Outside it is float32; the numbers of an int8 file are made and read here, as they must be by
    whoever runs it.
    """

    def __init__(
        self, path: Path, spec_inputs: Sequence[str], outputs: Sequence[str], threads: int
    ) -> None:
        """Open a file.

        Args:
            path: the file.
            spec_inputs: the model's input names.
            outputs: the model's output names.
            threads: threads of an operator.

        Raises:
            UserError: LiteRT cannot open it, or it has another count of inputs or outputs.
        """
        self._path, self._threads = path, threads
        self._names, self._outputs = list(spec_inputs), list(outputs)
        self._ports = ports(load(path), spec_inputs, outputs)
        for what, found, wanted in (
            ("inputs", self._ports[0], self._names),
            ("outputs", self._ports[1], self._outputs),
        ):
            if len(found) != len(wanted):
                raise UserError(
                    f"Expected {path.name} to have the {what} {wanted}; it has {len(found)}."
                )
        self._opened: dict[tuple[tuple[int, ...], ...], _Sized] = {}
        interpreter = open_interpreter(path, threads)
        first = next(d for d in interpreter.get_input_details() if d["index"] == self._ports[0][0])
        fixed = int(first["shape_signature"][0]) if len(first["shape_signature"]) else -1
        self._step = fixed if fixed > 0 else 0

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The file's own outputs as real numbers, under the source model's names.

        Raises:
            RunFailed: LiteRT stops.
        """
        feed = [inputs[name] for name in self._names]
        count = len(feed[0])
        step = self._step or count  # a file for one image is run image by image
        try:
            batches = ([a[start : start + step] for a in feed] for start in range(0, count, step))
            parts = [self._of_size(batch).run(batch) for batch in batches]
        except (RuntimeError, ValueError) as error:  # LiteRT has no classes of its own
            sentence = " ".join(str(error).split())[:300]
            raise RunFailed(f"LiteRT stops on a batch of {count}: {sentence}") from None
        whole = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        return dict(zip(self._outputs, whole, strict=True))

    def _of_size(self, batch: Sequence[np.ndarray]) -> _Sized:
        shapes = tuple(each.shape for each in batch)
        if shapes not in self._opened:
            if len(self._opened) == KEPT:
                del self._opened[next(iter(self._opened))]
            interpreter = open_interpreter(self._path, self._threads)
            self._opened[shapes] = _Sized(interpreter, self._ports, batch)
        return self._opened[shapes]


class _Sized:
    """An interpreter for batches of one shape, with room for the numbers that go in."""

    def __init__(
        self,
        interpreter: Interpreter,
        ports: tuple[list[int], list[int]],
        batch: Sequence[np.ndarray],
    ) -> None:
        resize(interpreter, ports[0], batch)
        self._interpreter = interpreter
        details = {d["index"]: d for d in interpreter.get_input_details()}
        self._inputs = [
            (
                interpreter.tensor(index),
                steps(details[index]),
                np.empty(details[index]["shape"], np.float32),
            )
            for index in ports[0]
        ]
        details = {d["index"]: d for d in interpreter.get_output_details()}
        self._outputs = [(index, steps(details[index])) for index in ports[1]]

    def run(self, feed: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Outputs in the model's order for one batch of this size."""
        for (tensor, whole, room), value in zip(self._inputs, feed, strict=True):
            if room.shape != value.shape:
                raise ValueError(f"expected an input of shape {room.shape}; got {value.shape}")
            taken = value if whole is None else quantized(value, whole, room)
            # A view of the tensor may not outlive this line: LiteRT refuses to run then.
            np.copyto(tensor(), taken, casting="unsafe")
        self._interpreter.invoke()
        found = []
        for index, whole in self._outputs:
            value = self._interpreter.get_tensor(index)
            if whole is not None:
                value = (value.astype(np.float32) - whole.zero_point) * whole.scale
            found.append(value)
        return found


@dataclass(frozen=True)
class Steps:
    """What the whole numbers of a tensor stand for.

    Attributes:
        scale: of one step.
        zero_point: the number that stands for 0.
        lowest: the smallest number of its dtype.
        highest: the largest.
    """

    scale: np.float32
    zero_point: np.float32
    lowest: int
    highest: int


def steps(detail: Mapping[str, Any]) -> Steps | None:
    """The steps of a tensor by its details; None for one that holds real numbers."""
    if np.issubdtype(detail["dtype"], np.floating):
        return None
    scale, zero = detail["quantization"]
    limits = np.iinfo(detail["dtype"])
    return Steps(np.float32(scale), np.float32(zero), int(limits.min), int(limits.max))


def quantized(value: np.ndarray, whole: Steps, room: np.ndarray) -> np.ndarray:
    """Real numbers as a tensor takes them: ``round(x / scale) + zero point``, clipped.

    Args:
        value: real numbers, any shape, float32.
        whole: of the tensor.
        room: float32 of the same shape; takes the result.

    Returns:
        Whole numbers, still in float32.
    """
    np.divide(value, whole.scale, out=room)
    np.rint(room, out=room)
    np.add(room, whole.zero_point, out=room)
    # Twice as fast as `np.clip`, and inside the time of a call.
    np.maximum(room, whole.lowest, out=room)
    np.minimum(room, whole.highest, out=room)
    return room


def open_interpreter(path: Path, threads: int, keep: bool = False) -> Interpreter:
    """A file in LiteRT on the CPU, with its default delegate.

    Args:
        path: the file.
        threads: threads of an operator.
        keep: whether every tensor can be read afterwards, for looking into the network.

    Raises:
        UserError: LiteRT cannot open it.
    """
    try:
        with warnings.catch_warnings():  # that this is for debugging only, which it is
            warnings.filterwarnings("ignore", ".*experimental_preserve_all_tensors")
            return Interpreter(
                str(path), num_threads=threads, experimental_preserve_all_tensors=keep
            )
    except (RuntimeError, ValueError) as error:  # LiteRT has no classes of its own
        sentence = " ".join(str(error).split())[:300]
        raise UserError(f"LiteRT cannot open {path.name}: {sentence}") from None


def resize(interpreter: Interpreter, inputs: Sequence[int], values: Sequence[np.ndarray]) -> None:
    """Plan an interpreter's memory for some images, of any size where a file leaves that open.

    Args:
        interpreter: of any file.
        inputs: numbers of its input tensors.
        values: ``(N, ...)`` for each of them.
    """
    details = {d["index"]: d for d in interpreter.get_input_details()}
    for index, value in zip(inputs, values, strict=True):
        own = [int(size) for size in details[index]["shape"]]
        stated = [int(size) for size in details[index]["shape_signature"]] or own
        wanted = [len(value), *own[1:]]
        if len(stated) == value.ndim:
            sizes = zip(stated[1:], own[1:], value.shape[1:], strict=True)
            wanted[1:] = [given if size < 0 else now for size, now, given in sizes]
        if own != wanted:
            interpreter.resize_tensor_input(index, wanted)
    interpreter.allocate_tensors()
