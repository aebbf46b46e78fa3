"""Which layer of the spec a node computes after ONNX Runtime has rewritten the graph."""

from __future__ import annotations

import re

from onnx import ModelProto, NodeProto

from conversion.proof.taps.owners import Owners, kernel_of, multiplies


class DeployedLayers:
    """The layers behind the nodes of an optimised graph.

    A node is recognised by its kernel or bias, whose names the optimiser mostly keeps, else by the
    node or result that it is named after: the product that is nearest ahead of that in the file.
    """

    def __init__(self, owners: Owners, file: ModelProto, optimised: ModelProto) -> None:
        """Take in both graphs.

        Args:
            owners: the layers in the graph as it is written.
            file: that graph.
            optimised: the graph as it is run.
        """
        self._owners = owners
        self._writers = {name: each for each in optimised.graph.node for name in each.output}
        self._results = {node.name: node.output[0] for node in file.graph.node}
        self._by_constant = {
            constant.name: owners.layer(step.name)
            for step in owners.network.tensors
            if kernel_of(step) is not None
            for constant in step.constants
        }

    def of(self, node: NodeProto) -> str:
        """The layer whose product a node is; empty where it cannot be told."""
        known = (self._by_constant.get(self._ahead(name)) for name in node.input[1:])
        after = _ADDED.sub("", node.name)
        names = (after, self._results.get(after, ""), node.output[0])
        named = (self._behind(name) for name in names)
        return next((layer for layer in (*known, *named) if layer), "")

    def _ahead(self, name: str) -> str:
        """The constant that a tensor is made from, whatever casts or moves it on the way."""
        while name in self._writers and self._writers[name].op_type in _PASSING:
            name = self._writers[name].input[0]
        return name

    def _behind(self, tensor: str) -> str:
        network = self._owners.network
        found = network.of(tensor) if tensor in network.position else None
        while found is not None and not multiplies(found):
            found = network.of(found.reads[0]) if found.reads else None
        return self._owners.layer(found.name) if found is not None else ""


_ADDED = re.compile(r"(_nchwc|_token_\d+)+$")
"""What ONNX Runtime adds to names: for channels in blocks, and to make them its own."""

_PASSING = ("DequantizeLinear", "QuantizeLinear", "Cast", "Transpose", "Reshape")
