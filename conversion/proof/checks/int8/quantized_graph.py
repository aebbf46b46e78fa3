"""An ONNX graph with the spec laid over it: which layer a tensor or a scale belongs to."""

from __future__ import annotations

from onnx import ModelProto

from conversion.core.spec import Spec
from conversion.proof.taps.alignment import Alignment, align
from conversion.proof.taps.graph import Graph, Operation
from conversion.proof.taps.onnx_operations import graph_of
from conversion.proof.taps.onnx_parameters import Parameters, Slot
from conversion.proof.taps.stages import is_affine, stages


class Laid:
    """A graph with the spec laid over it.

    Attributes:
        spec: the model.
        graph: its network.
        alignment: the spec over it.
        parameters: its scales, zero points and constants.
        writer: tensor to the operation that gives it.
        layer: an operation's result to the layer that has it as a step.
        owner: an operation's result to the last layer of the group that it ends.
    """

    def __init__(self, spec: Spec, model: ModelProto) -> None:
        self.spec = spec
        self.graph: Graph = graph_of(model)
        self.alignment: Alignment = align(spec, self.graph)
        self.parameters = Parameters(model)
        self.writer = self.graph.writer()
        self.readers = self.graph.readers()
        places = self.alignment.places
        self.layer = {o.writes: name for name, p in places.items() for o in p.operations}
        self.owner = {out: places[name].group[-1] for out, name in self.layer.items()}
        for layer in spec.layers:  # an activation whose clamp the zero point no longer makes
            place = places[layer.name]
            computes = bool(stages(layer)) or is_affine(layer)
            fused = computes and place.tensors and not place.operations
            if fused and place.tensors[-1] in self.owner:
                self.owner[place.tensors[-1]] = layer.name
        self.integers = {slot.value for slot in self.parameters.slots}

    def root(self, tensor: str) -> str:
        """The operation's result, or the input, of which a tensor holds the same elements."""
        operation = self.writer.get(tensor)
        while operation is not None and operation.moves and operation.reads:
            tensor = operation.reads[0]
            operation = self.writer.get(tensor)
        return tensor

    def source(self, tensor: str) -> str:
        """What a tensor is cast from, be it computed or not."""
        nodes = self.parameters.nodes
        while tensor in nodes and nodes[tensor].op_type in ("QuantizeLinear", "DequantizeLinear"):
            tensor = nodes[tensor].input[0]
        return tensor

    def bare(self, tensor: str) -> str:
        """The same through activations too, which quantization may leave out."""
        root = self.root(tensor)
        while root in self.writer and self.base(self.writer[root]) in ("Relu", "Clip"):
            root = self.root(self.writer[root].reads[0])
        return root

    def base(self, operation: Operation) -> str:
        """The float operator that an operation stands for."""
        name = self.parameters.nodes[operation.writes].op_type
        return "Gemm" if name == "QGemm" else name.removeprefix("QLinear")

    def holds_integers(self, tensor: str) -> bool:
        """Whether a tensor holds integers, which what moves or picks elements gives on."""
        operation = self.writer.get(tensor)
        while operation is not None:
            name = self.parameters.nodes[operation.writes].op_type
            if name == "QuantizeLinear" or name.startswith(("QLinear", "QGemm")):
                return True
            if name not in GIVING_ON or not operation.reads:
                return False
            operation = self.writer.get(operation.reads[0])
        return False

    def named(self, root: str) -> str:
        """The layer that a result or an input belongs to."""
        if root in self.graph.inputs:
            index = self.graph.inputs.index(root)
            return self.spec.inputs[index] if index < len(self.spec.inputs) else root
        return self.owner.get(root, root)

    def words(self, slot: Slot) -> str:
        """Whose scale and zero point a place names, and where it stands."""
        root = self.root(slot.value)
        operation, layer = self.writer.get(root), self.named(root)
        inner = self.alignment.places.get(self.layer.get(root, ""))
        last = inner is None or operation is None or inner.operations[-1] is operation
        whose = f"the output of {layer}" if last else f"the sums of {layer}"
        if operation is None:
            whose = f"the input {layer}"
        if slot.writes:
            return whose
        kind = self.parameters.nodes[slot.node].op_type
        return f"{whose} as {self.layer.get(slot.node, kind)} reads it"


GIVING_ON = (
    *("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"),
    *("MaxPool", "Pad", "Resize", "Slice", "Split", "Gather", "Tile", "Expand"),
)
"""Operators that take integers as they take floats."""
