"""A module made from a spec as operations, float or quantized."""

from __future__ import annotations

import numpy as np
from torch import nn

from conversion.backends import torch_operations as ours
from conversion.backends.torch_module import SpecModule, Step
from conversion.quantization import torch_prepared as prepared
from conversion.taps.graph import Graph, Operation, Tensor

KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    "conv": (nn.Conv2d,),
    "dense": (nn.Linear,),
    "norm": (nn.BatchNorm2d, ours.NormOfLastAxis, ours.Rescaling),
    "relu": (nn.ReLU,),
    "clip": (nn.ReLU6,),
    "leaky_relu": (nn.LeakyReLU,),
    "threshold_relu": (ours.ThresholdRelu,),
    "sigmoid": (nn.Sigmoid,),
    "softmax": (nn.Softmax,),
    "tanh": (nn.Tanh,),
    "max_pool": (nn.MaxPool2d,),
    "average_pool": (nn.AvgPool2d, ours.SameAveragePool),
    "global_average": (nn.AdaptiveAvgPool2d,),
    "global_max": (ours.GlobalMax,),
    "sum": (ours.Add, prepared.QuantizableAdd),
    "product": (ours.Multiply,),
    "concat": (ours.Concatenate, prepared.QuantizableConcatenate),
    "pad": (ours.SamePadding, nn.ZeroPad2d),
    "reshape": (nn.Flatten, ours.Reshape),
    "identity": (nn.Identity,),
}
"""Kind to the modules that compute it; the quantized ones are named by their class."""

_QUANTIZED = {"Conv2d": "conv", "Linear": "dense", "ReLU6": "clip", "LeakyReLU": "leaky_relu"}
_MOVES = ("reshape", "identity")


def graph_of(body: SpecModule) -> Graph:
    """The network of a module.

    Args:
        body: made from a spec; perhaps fused and quantized.

    Returns:
        Its operations; tensors have the names of `SpecModule.values`.
    """
    inputs = tuple(body.ends[name] for name in body.described["inputs"])
    tensors = {name: Tensor(name) for name in inputs}
    operations = []
    for step in body.steps:
        operation = _operation(body, step)
        order = tensors[step.reads[0]].order
        if step.module is None:
            turned = tuple(int(each) for each in np.argsort(step.order))
            order = () if order else turned
        tensors[step.writes] = Tensor(step.writes, order)
        operations.append(operation)
    return Graph(tuple(operations), inputs, tuple(body.returns), tensors)


def _operation(body: SpecModule, step: Step) -> Operation:
    if step.module is None:
        return Operation("transpose", step.reads, step.writes, moves=True)
    module = getattr(body, step.module)
    if isinstance(module, prepared.FloatIsland):
        module = module.module
    name = type(module).__name__
    kind = next((k for k, types in KINDS.items() if isinstance(module, types)), "")
    fused = name.endswith("ReLU2d") or name == "LinearReLU"
    if not kind or fused:
        plain = {"ConvReLU2d": "Conv2d", "LinearReLU": "Linear"}.get(name, name)
        kind = _QUANTIZED.get(plain, kind or "other")
    applies = ("relu",) if fused or getattr(module, "relu", False) is True else ()
    return Operation(
        kind,
        step.reads,
        step.writes,
        _constants(module, kind),
        applies,
        step.module,
        moves=kind in _MOVES,
    )


def _constants(module: nn.Module, kind: str) -> dict[str, np.ndarray]:
    if kind not in ("conv", "dense"):
        return {}
    found = {}
    for role, name in (("kernel", "weight"), ("bias", "bias")):
        value = getattr(module, name, None)
        value = value() if callable(value) else value  # a method of packed weights
        if value is not None:
            plain = value.detach()
            array = (plain.dequantize() if plain.is_quantized else plain).numpy()
            found[role] = array.T if kind == "dense" and role == "kernel" else array
    return found
