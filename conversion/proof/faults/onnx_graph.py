"""Small edits of an ONNX graph: find a layer's node, insert, replace and drop nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from conversion.core.spec import Layer, Spec
from conversion.proof.faults.fault import NotInjectable
from conversion.proof.faults.integer_operators import Edit
from conversion.proof.faults.places import closest

WEIGHTED = ("Conv", "ConvTranspose", "MatMul", "Gemm", "QLinearConv", "QLinearMatMul", "QGemm")
_READS = ("", "read_scale", "read_zero_point", "kernel", "kernel_scale", "kernel_zero_point")
_ENDS = ("scale", "zero_point")
ROLES = {
    "QLinearConv": (*_READS, *_ENDS, "bias"),
    "QLinearMatMul": (*_READS, *_ENDS),
    "QGemm": (*_READS, "bias", *_ENDS),
    "QLinearAdd": ("", "read_scale", "read_zero_point", "", "", "", *_ENDS),
    "QLinearGlobalAveragePool": ("", "read_scale", "read_zero_point", *_ENDS),
    "QuantizeLinear": ("", *_ENDS),
    "DequantizeLinear": ("", *_ENDS),
    **dict.fromkeys(("Conv", "ConvTranspose", "MatMul", "Gemm"), ("", "kernel", "bias")),
}
"""Operator to what each of its inputs is."""


def floats(*values: float) -> np.ndarray:
    """Values as a constant of factors or summands; one value is a scalar."""
    return np.array(values[0] if len(values) == 1 else values, np.float32)


def ints(*values: int) -> np.ndarray:
    """Values as a constant of indices or sizes."""
    return np.array(values, np.int64)


class Graph:
    """An ONNX graph that is changed in place.

    Attributes:
        model: the file.
        spec: the model that it was made from.
    """

    def __init__(
        self, model: ModelProto, spec: Spec, tensors: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        """Look at a graph.

        Args:
            model: the file.
            spec: the model that it was made from.
            tensors: gives the tensor of each layer's output in the good file.
        """
        self.model, self.spec, self._tensors = model, spec, tensors
        self._known: dict[str, NodeProto] = {}

    @cached_property
    def tensors(self) -> Mapping[str, str]:
        """Layer to the tensor of its output."""
        return self._tensors()

    def node(self, layer: str, *operators: str) -> NodeProto:
        """A layer's node of one of some operators, between its inputs and what follows it.

        Raises:
            NotInjectable: there is none.
        """
        own = self.tensors[layer]
        others = set(self.tensors.values()) - {own}
        writers = {name: [each] for each in self.model.graph.node for name in each.output}
        for nodes, onward in ((writers, "input"), (self._readers(), "output")):
            waiting = [own]
            for name in waiting:  # grows while it is walked
                for each in [] if name in others else nodes.get(name, []):
                    if each.op_type in operators:
                        found: NodeProto = each
                        return found
                    waiting += [next_ for next_ in getattr(each, onward) if next_ not in waiting]
        raise NotInjectable(f"{layer} has no {' or '.join(operators)}")

    def weighted(self, layer: str) -> NodeProto:
        """The node that multiplies with a layer's kernel, which is found by its values.

        Raises:
            NotInjectable: there is none.
        """
        if layer not in self._known:  # a fault may change by what it was found
            nodes = {each.output[0]: each for each in self.model.graph.node if self._kernel(each)}
            arrays = {name: self.stored(self._kernel(each)) for name, each in nodes.items()}
            self._known[layer] = nodes[closest(self.spec.layer(layer), arrays)]
        return self._known[layer]

    def operator(self, layer: str) -> NodeProto:
        """The node of an int8 file that computes a layer; the input's is the one that quantizes."""
        found: Layer = self.spec.layer(layer)
        if found.weights and found.kind != "BatchNormalization":
            return self.weighted(layer)
        return self.node(layer, *(name for name in ROLES if name.startswith("Q")))

    def scale_and_shift(self, layer: str) -> tuple[NodeProto, NodeProto]:
        """The two nodes of a BatchNormalization."""
        return self.node(layer, "Mul"), self.node(layer, "Add")

    def writer(self, tensor: str) -> NodeProto:
        """The node that gives a tensor."""
        found: NodeProto = next(each for each in self.model.graph.node if tensor in each.output)
        return found

    def slot(self, node: NodeProto, role: str) -> int:
        """The place of an input among those of a node.

        Raises:
            NotInjectable: it has none.
        """
        roles = ROLES.get(node.op_type, ())
        if role not in roles[: len(node.input)]:
            raise NotInjectable(f"{node.op_type} has no {role}")
        return roles.index(role)

    def read(self, node: NodeProto, role: str) -> np.ndarray:
        """What a node stores."""
        return self.stored(node.input[self.slot(node, role)])

    def change(self, node: NodeProto, role: str, edit: Edit) -> None:
        """Change what a node stores, for every node that stores it together with it."""
        name = node.input[self.slot(node, role)]
        self.store(name, like(self.stored(name), edit))

    def change_alone(self, node: NodeProto, role: str, edit: Edit) -> None:
        """Change what a node stores, and leave every other node with what was there."""
        node.input[self.slot(node, role)] = self.constant(like(self.read(node, role), edit))

    def edit(self, layer: str, role: str, edit: Edit) -> None:
        """Change what a layer of an int8 file stores, as `integer_operators.Stored` has it."""
        self.change(self.operator(layer), role, edit)

    def edit_all(self, role: str, edit: Edit) -> None:
        """Change the scale or the zero point of every activation."""
        kind = TensorProto.FLOAT if role == "scale" else TensorProto.UINT8
        for tensor in list(self.model.graph.initializer):
            if tensor.data_type == kind and not tensor.dims:
                self.store(tensor.name, like(self.stored(tensor.name), edit))

    def constants(self) -> dict[str, np.ndarray]:
        """Every constant of real numbers."""
        every = self.model.graph.initializer
        return {each.name: numpy_helper.to_array(each) for each in every if each.data_type == 1}

    def constant(self, array: np.ndarray) -> str:
        """The name of a new constant."""
        name = f"constant_{len(self.model.graph.initializer)}"
        self.model.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def store(self, name: str, array: np.ndarray) -> None:
        """Put other values into a constant."""
        for tensor in self.model.graph.initializer:
            if tensor.name == name:
                whole = np.ascontiguousarray(array).reshape(array.shape)  # a scalar stays one
                tensor.CopyFrom(numpy_helper.from_array(whole, name))

    def stored(self, name: str) -> np.ndarray:
        """The values of a constant."""
        for each in self.model.graph.initializer:
            if each.name == name:
                return np.array(numpy_helper.to_array(each))
        raise NotInjectable(f"{name} is no constant")

    def behind(
        self, before: NodeProto, operator: str, *constants: np.ndarray, **attributes: Any
    ) -> NodeProto:
        """Put an operator behind a node, so that whatever reads the node reads the operator.

        Args:
            before: the node.
            operator: what to insert.
            constants: its inputs after the first.
            attributes: its attributes.
        """
        name = before.output[0]
        before.output[0] = f"{name}_{operator}_{len(self.model.graph.node)}"
        reads = [before.output[0], *map(self.constant, constants)]
        made = helper.make_node(operator, reads, [name], **attributes)
        return self._inserted(list(self.model.graph.node).index(before) + 1, made)

    def ahead(
        self, reader: NodeProto, operator: str, *constants: np.ndarray, **attributes: Any
    ) -> NodeProto:
        """Put an operator ahead of a node's first input; other readers of the input keep it.

        Args:
            reader: the node.
            operator: what to insert.
            constants: its inputs after the first.
            attributes: its attributes.
        """
        name = f"{reader.input[0]}_{operator}_{len(self.model.graph.node)}"
        reads = [reader.input[0], *map(self.constant, constants)]
        made = helper.make_node(operator, reads, [name], **attributes)
        reader.input[0] = name
        return self._inserted(list(self.model.graph.node).index(reader), made)

    def drop(self, dropped: NodeProto, instead: int = 0) -> None:
        """Take a node out; whatever read it reads one of its inputs instead."""
        source, target = dropped.input[instead], dropped.output[0]
        self.model.graph.node.remove(dropped)
        if target in {value.name for value in self.model.graph.output}:
            source, target = target, source  # the graph's output keeps its name
        self._renamed(target, source, self.model.graph.node)

    def rename(self, old: str, new: str) -> None:
        """Give a tensor, an input or an output of the graph another name."""
        for value in (*self.model.graph.input, *self.model.graph.output):
            if value.name == old:
                value.name = new
        self._renamed(old, new, self.model.graph.node)

    def first_reader(self) -> NodeProto:
        """The node that reads the first input."""
        known = {each.name for each in self.model.graph.initializer}
        name = next(each.name for each in self.model.graph.input if each.name not in known)
        return self._readers()[name][0]

    def _readers(self) -> dict[str, list[NodeProto]]:
        found: dict[str, list[NodeProto]] = {}
        for each in self.model.graph.node:
            for name in each.input:
                found.setdefault(name, []).append(each)
        return found

    def _kernel(self, node: NodeProto) -> str:
        """The constant that a node multiplies with, behind a DequantizeLinear too; or nothing."""
        known = {each.name for each in self.model.graph.initializer}
        roles = ROLES.get(node.op_type, ())
        if node.op_type not in WEIGHTED or len(node.input) <= roles.index("kernel"):
            return ""
        name = str(node.input[roles.index("kernel")])
        made = next((each for each in self.model.graph.node if name in each.output), None)
        name = str(made.input[0]) if made is not None else name
        return name if name in known else ""

    def _inserted(self, place: int, made: NodeProto) -> NodeProto:
        self.model.graph.node.insert(place, made)
        found: NodeProto = self.model.graph.node[place]  # the graph holds a copy
        return found

    @staticmethod
    def _renamed(old: str, new: str, nodes: Iterable[NodeProto]) -> None:
        for each in nodes:
            for names in (each.input, each.output):
                names[:] = [new if name == old else name for name in names]


def set_attribute(changed: NodeProto, name: str, value: Any) -> None:
    """Set an attribute of a node, whether it has it or not."""
    kept = [each for each in changed.attribute if each.name != name]
    del changed.attribute[:]
    changed.attribute.extend([*kept, helper.make_attribute(name, value)])


def attribute(found: NodeProto, name: str) -> Any:
    """An attribute of a node; None where it has none of the name."""
    return next((helper.get_attribute_value(a) for a in found.attribute if a.name == name), None)


def like(array: np.ndarray, edit: Edit) -> np.ndarray:
    """An array edited, of the dtype and shape that it had."""
    return np.asarray(edit(array.copy()), array.dtype).reshape(array.shape)
