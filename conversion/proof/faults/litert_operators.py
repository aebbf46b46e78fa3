"""Faults in LiteRT files: in what a layer's operation stores, and of files of another kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from conversion.core.spec import Spec
from conversion.proof.faults.fault import NotInjectable
from conversion.proof.faults.onnx_operators import ANOTHER
from conversion.proof.faults.places import closest

KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class File:
    """A LiteRT file that is changed in place.

    Attributes:
        model: the file.
        spec: the model that it was made from.
    """

    def __init__(self, model: Any, spec: Spec, tensors: Callable[[], Mapping[str, str]]) -> None:
        """Look at a file.

        Args:
            model: what `litert_file.load` gives.
            spec: the model that it was made from.
            tensors: gives the number of the tensor of each layer's output in the good file.
        """
        from conversion.backends import litert_file  # needs an extra, which the table does not

        self.model, self.spec, self._tensors, self._parts = model, spec, tensors, litert_file
        self.operations: list[Any] = model.subgraphs[0].operators

    def kind(self, operation: Any) -> str:
        """The name of an operation's operator, such as ``CONV_2D``."""
        return self._parts.operator(self.model, operation)

    def operation(self, layer: str) -> Any:
        """The operation that gives a layer: by its kernel, or by its output's values.

        Raises:
            NotInjectable: there is none.
        """
        found = self.spec.layer(layer)
        if any("kernel" in role for role in found.weights):
            with_kernels = {str(i): each for i, each in enumerate(self.with_kernels())}
            arrays = {n: self.array(self.tensor(each, 1)) for n, each in with_kernels.items()}
            return with_kernels[closest(found, arrays)]
        number = self._tensors()[layer]
        for each in self.operations:
            if str(int(each.outputs[0])) == number:
                return each
        raise NotInjectable(f"no operation gives {layer}")

    def with_kernels(self) -> list[Any]:
        """The operations with a kernel that is stored."""
        named = [each for each in self.operations if self.kind(each) in KERNELS]
        return [each for each in named if self._parts.stored(self.model, self.tensor(each, 1))]

    def tensor(self, operation: Any, place: int) -> Any:
        """One of the tensors that an operation reads."""
        return self.model.subgraphs[0].tensors[int(operation.inputs[place])]

    def kernels(self) -> list[Any]:
        """The tensors of all kernels."""
        return [self.tensor(each, 1) for each in self.with_kernels()]

    def written(self, layer: str) -> Any:
        """Scale and zero point of what a layer's operation gives."""
        found = self.model.subgraphs[0].tensors[int(self.operation(layer).outputs[0])]
        return found.quantization

    def array(self, tensor: Any) -> np.ndarray:
        """What a tensor stores."""
        dtype = {0: np.float32, 2: np.int32, 9: np.int8}[tensor.type]
        return np.frombuffer(self._parts.stored(self.model, tensor), dtype).reshape(tensor.shape)

    def put(self, tensor: Any, array: np.ndarray, scale: np.ndarray | None = None) -> None:
        """Let a tensor store something else.

        Args:
            tensor: a constant.
            array: its elements.
            scale: one for each channel; None leaves the quantization as it is.
        """
        plain = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else array.dtype)
        self.model.buffers[tensor.buffer].data = np.frombuffer(plain.tobytes(), np.uint8)
        if scale is not None:
            tensor.quantization.scale = scale.astype(np.float32)
            tensor.quantization.zeroPoint = np.zeros(len(scale), np.int64)
            tensor.quantization.quantizedDimension = 0

    def constants(self) -> dict[str, np.ndarray]:
        """Every constant of real numbers, by its tensor's number."""
        tensors = enumerate(self.model.subgraphs[0].tensors)
        real = ((i, t) for i, t in tensors if t.type == 0 and self._parts.stored(self.model, t))
        return {str(i): self.array(t) for i, t in real}

    def store(self, name: str, array: np.ndarray) -> None:
        """Put other values into a constant."""
        self.put(self.model.subgraphs[0].tensors[int(name)], array)


OfFile = Callable[[File, Sequence[str], Any], None]


def per_tensor(file: File, _: Sequence[str], __: Any) -> None:
    """One scale for each kernel."""
    for operation in file.with_kernels():
        read, kernel, bias = (file.tensor(operation, place) for place in range(3))
        real, shift = _real(file, kernel), _real(file, bias)
        scale = np.abs(real).max().reshape(1) / 127
        file.put(kernel, np.rint(real / scale).astype(np.int8), scale)
        unit = scale * read.quantization.scale
        file.put(bias, np.rint(shift / unit).astype(np.int32), unit)


def _real(file: File, tensor: Any) -> np.ndarray:
    whole, scale = file.array(tensor), np.asarray(tensor.quantization.scale)
    return np.asarray(whole * scale.reshape(-1, *[1] * (whole.ndim - 1)))


def noisy(file: File, _: Sequence[str], size: float) -> None:
    """Kernels of another training of the model."""
    drawn = np.random.default_rng(0)
    for tensor in file.kernels():
        found = file.array(tensor)
        changed = found * (1 + size * drawn.standard_normal(found.shape))
        if found.dtype == np.int8:
            changed = np.clip(np.rint(changed), -127, 127).astype(np.int8)
        file.put(tensor, changed)


def of_another_source(file: File, layers: Sequence[str], size: float) -> None:
    """The metadata name another source file, and the weights are some way off."""
    noisy(file, layers, size)
    for entry in file.model.metadata:
        if entry.name == b"conversion.source":
            data = np.frombuffer(ANOTHER.encode(), np.uint8)
            file.model.buffers[entry.buffer].data = data


def largest_weight(file: File, layers: Sequence[str], share: float) -> None:
    """The largest weight of a kernel, as the file has it, is off by a share of itself."""
    for layer in layers:
        tensor = file.tensor(file.operation(layer), 1)
        found = file.array(tensor).copy()
        found.flat[np.abs(found).argmax()] *= 1 + share
        file.put(tensor, found)


def activation_lost(file: File, layers: Sequence[str], _: Any) -> None:
    """The activation that an operation computes itself is not there."""
    for layer in layers:
        _fused(file, layer).fusedActivationFunction = 0


def _fused(file: File, layer: str) -> Any:
    found = file.operation(layer).builtinOptions
    if not getattr(found, "fusedActivationFunction", 0):
        raise NotInjectable(f"{layer} computes no activation itself")
    return found


def pool_kind(file: File, layers: Sequence[str], _: Any) -> None:
    """The largest value for the average, or the average for the largest value."""
    codes = {file.kind(each): each.opcodeIndex for each in file.operations}
    for layer in layers:
        found = file.operation(layer)
        other = {"AVERAGE_POOL_2D": "MAX_POOL_2D", "MAX_POOL_2D": "AVERAGE_POOL_2D"}
        wanted = other.get(file.kind(found), "")
        if wanted not in codes:
            raise NotInjectable(f"{layer} is no pooling, or no other one is in the file")
        found.opcodeIndex = codes[wanted]


def zero_point_off(file: File, layers: Sequence[str], steps: int) -> None:
    """The zero point of what a layer gives is off."""
    for layer in layers:
        written = file.written(layer)
        written.zeroPoint = written.zeroPoint + steps


def scale_times(file: File, layers: Sequence[str], factor: float) -> None:
    """The scale of what a layer gives is off by a factor."""
    for layer in layers:
        written = file.written(layer)
        written.scale = written.scale * np.float32(factor)


def bias_times(file: File, layers: Sequence[str], factor: float) -> None:
    """Biases times a factor."""
    for layer in layers:
        operation = file.operation(layer)
        if len(operation.inputs) < 3 or int(operation.inputs[2]) < 0:
            raise NotInjectable(f"{layer} has no bias")
        tensor = file.tensor(operation, 2)
        found = file.array(tensor)
        if not found.any():
            raise NotInjectable(f"the bias of {layer} is 0")
        file.put(tensor, np.asarray(found * factor, found.dtype))


OPERATORS: Mapping[str, OfFile] = {
    "per-tensor": per_tensor,
    "noise": noisy,
    "of-another-source": of_another_source,
    "largest-weight": largest_weight,
    "activation-missing": activation_lost,
    "pool-kind": pool_kind,
    "zero-point-off": zero_point_off,
    "scale-times": scale_times,
    "bias-times": bias_times,
}
"""Name to a fault of a file."""
