"""LiteRT files by layer, and faults of those that compute with real numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from conversion.core.spec import Spec
from conversion.proof.faults.fault import NotInjectable
from conversion.proof.faults.integer_operators import Edit
from conversion.proof.faults.onnx_port_operators import ANOTHER
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
        self._known: dict[str, Any] = {}

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
            if layer not in self._known:  # a fault may change by what it was found
                nodes = {str(i): each for i, each in enumerate(self.with_kernels())}
                arrays = {n: self.array(self.tensor(each, 1)) for n, each in nodes.items()}
                self._known[layer] = nodes[closest(found, arrays)]
            return self._known[layer]
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

    def edit(self, layer: str, role: str, edit: Edit) -> None:
        """Change what a layer of an int8 file stores, as `integer_operators.Stored` has it."""
        operation = self.operation(layer)
        if role in ("scale", "zero_point"):
            written = self.model.subgraphs[0].tensors[int(operation.outputs[0])]
            self._edit(written, "scale" if role == "scale" else "zeroPoint", edit)
            return
        place = 2 if role == "bias" else 1
        if len(operation.inputs) <= place or int(operation.inputs[place]) < 0:
            raise NotInjectable(f"{layer} has no {role}")
        if role == "kernel_scale":
            self._edit(self.tensor(operation, 1), "scale", edit)
        else:
            tensor = self.tensor(operation, place)
            found = self.array(tensor)
            self.put(tensor, np.asarray(edit(found.copy()), found.dtype))

    def edit_all(self, role: str, edit: Edit) -> None:
        """Change the scale or the zero point of what every operation gives."""
        for each in self.operations:
            written = self.model.subgraphs[0].tensors[int(each.outputs[0])]
            self._edit(written, "scale" if role == "scale" else "zeroPoint", edit)

    def _edit(self, tensor: Any, name: str, edit: Edit) -> None:
        found = getattr(tensor.quantization, name, None)
        if found is None or not np.size(found):
            raise NotInjectable("a tensor of it is not quantized")
        array = np.asarray(found)
        setattr(tensor.quantization, name, np.asarray(edit(array.copy()), array.dtype))

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


def noisy(file: File, _: Sequence[str], size: float) -> None:
    """Kernels of another training of the model."""
    drawn = np.random.default_rng(0)
    for tensor in file.kernels():
        found = file.array(tensor)
        file.put(tensor, found * (1 + size * drawn.standard_normal(found.shape)))


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


def other_activation(file: File, layers: Sequence[str], _: Any) -> None:
    """What an operation computes itself is held to -1 to 1; to no more than 0 to 6 before."""
    for layer in layers:
        found = _fused(file, layer)
        found.fusedActivationFunction = 1 if found.fusedActivationFunction == 3 else 2


def slope(file: File, layers: Sequence[str], size: float) -> None:
    """Another slope below 0."""
    for layer in layers:
        _options(file, layer, "alpha").alpha *= 1 + size


def gelu_by_tanh(file: File, layers: Sequence[str], _: Any) -> None:
    """GELU by the approximation with tanh."""
    for layer in layers:
        _options(file, layer, "approximate").approximate = True


def _options(file: File, layer: str, name: str) -> Any:
    found = file.operation(layer)
    if not hasattr(found.builtinOptions, name):
        raise NotInjectable(f"{file.kind(found)} of {layer} has no {name}")
    return found.builtinOptions


OPERATORS: Mapping[str, OfFile] = {
    "activation-exchanged": other_activation,
    "slope": slope,
    "gelu-by-tanh": gelu_by_tanh,
    "of-another-source": of_another_source,
    "largest-weight": largest_weight,
    "activation-missing": activation_lost,
    "pool-kind": pool_kind,
}
"""Name to a fault of a file."""
