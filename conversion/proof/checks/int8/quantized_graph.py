"""An ONNX graph as steps that read scales, zero points and constants."""

from __future__ import annotations

from onnx import ModelProto

from conversion.proof.taps.network import Computed
from conversion.proof.taps.onnx_parameters import Parameters
from conversion.proof.taps.onnx_tensors import GIVING_ON, network_of

DROPPED = ("relu", "clip")
"""Operators that quantization may leave out: the range of what they read holds nothing else."""


class Laid:
    """A graph, step by step.

    Attributes:
        network: its tensors.
        parameters: its scales, zero points and constants.
        steps: the tensors that are computed, not only moved, in order.
    """

    def __init__(self, model: ModelProto) -> None:
        self.network, self.parameters = network_of(model), Parameters(model)
        self.steps = [each for each in self.network.tensors if each.reads and not each.moves]

    def root(self, tensor: str) -> str:
        """The result of a step, or the input, of which a tensor holds the same elements."""
        return self.network.root(tensor) if tensor in self.network.position else tensor

    def step(self, tensor: str) -> Computed | None:
        """The step whose result a tensor is; None where it is an input or depends on none."""
        found = self.network.of(tensor) if tensor in self.network.position else None
        return found if found is not None and found.reads else None

    def source(self, tensor: str) -> str:
        """What a tensor is cast from, be it computed or not."""
        nodes = self.parameters.nodes
        while tensor in nodes and nodes[tensor].op_type in ("QuantizeLinear", "DequantizeLinear"):
            tensor = nodes[tensor].input[0]
        return tensor

    def bare(self, tensor: str) -> str:
        """The root through activations too, which quantization may leave out."""
        root = self.root(tensor)
        while (step := self.step(root)) is not None and base(step) in DROPPED:
            root = self.root(step.reads[0])
        return root

    def holds_integers(self, tensor: str) -> bool:
        """Whether a tensor holds integers, which what moves or picks elements gives on."""
        step = self.step(tensor)
        while step is not None:
            if step.kind.startswith(("quantizelinear", "qlinear", "qgemm")):
                return True
            if step.kind not in GIVING_ON:
                return False
            step = self.step(step.reads[0])
        return False


def base(step: Computed) -> str:
    """The float operator that a step stands for, in lower case."""
    return "gemm" if step.kind == "qgemm" else step.kind.removeprefix("qlinear")
