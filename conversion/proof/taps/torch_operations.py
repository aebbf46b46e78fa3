"""A module made from a spec as operations, float or quantized."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from conversion.backends import torch_applications as applications
from conversion.backends import torch_elementwise as elementwise
from conversion.backends import torch_normalization as norms
from conversion.backends import torch_operations as ours
from conversion.backends import torch_window_operations as windows
from conversion.backends.torch_module import SpecModule, Step
from conversion.core.spec import Spec
from conversion.proof.taps.graph import Graph, Operation, Tensor
from conversion.quantization import torch_fusion as fusion
from conversion.quantization import torch_prepared as prepared
from conversion.quantization.torch_static import rebuild_integer

KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    "conv": (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d),
    "dense": (nn.Linear, elementwise.Dot),
    "norm": (
        *(nn.BatchNorm2d, ours.NormOfLastAxis, norms.NormOfAxis),
        *(ours.Rescaling, norms.Normalization),
    ),
    "relu": (nn.ReLU,),
    "clip": (nn.ReLU6,),
    "leaky_relu": (nn.LeakyReLU,),
    "threshold_relu": (ours.ThresholdRelu,),
    "sigmoid": (nn.Sigmoid,),
    "softmax": (nn.Softmax,),
    "log_softmax": (nn.LogSoftmax,),
    "tanh": (nn.Tanh,),
    "max_pool": (nn.MaxPool1d, nn.MaxPool2d),
    "average_pool": (nn.AvgPool1d, nn.AvgPool2d, ours.SameAveragePool),
    "global_average": (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d),
    "global_max": (ours.GlobalMax,),
    "sum": (
        *(ours.Add, fusion.QuantizableAdd, elementwise.Subtract, elementwise.Average),
        applications.ScaledSum,
    ),
    "scale": (applications.LayerScale,),
    "product": (ours.Multiply,),
    "maximum": (elementwise.Maximum,),
    "minimum": (elementwise.Minimum,),
    "concat": (ours.Concatenate, prepared.QuantizableConcatenate),
    "pad": (ours.SamePadding, nn.ZeroPad1d, nn.ZeroPad2d),
    "crop": (windows.Crop,),
    "resize": (nn.Upsample, elementwise.Resize),
    "tile": (elementwise.RepeatVector,),
    "reshape": (nn.Flatten, ours.Reshape, elementwise.Permute),
    "identity": (nn.Identity,),
}
"""Kind to the modules that compute it; the quantized ones are named by their class."""

_QUANTIZED = {
    "Conv1d": "conv",
    "Conv2d": "conv",
    "Linear": "dense",
    "ReLU6": "clip",
    "LeakyReLU": "leaky_relu",
}
_FUSED = {"ConvReLU1d": "Conv1d", "ConvReLU2d": "Conv2d", "LinearReLU": "Linear"}
_MOVES = ("reshape", "identity")


def integer_graph_in(path: Path, spec: Spec) -> Graph:
    """The operations of the integer module that a file describes."""
    return graph_of(rebuild_integer(path, spec.custom)[0].body)


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
        tensors[step.writes] = Tensor(step.writes)
        operations += _operations(body, step)
    return Graph(tuple(operations), inputs, tuple(body.returns), tensors)


def _operations(body: SpecModule, step: Step) -> list[Operation]:
    if step.module is None:
        return [Operation("transpose", step.reads, step.writes, moves=True)]
    module = getattr(body, step.module)
    if isinstance(module, prepared.FloatIsland):
        module = module.module
    if isinstance(module, elementwise.Grown):
        module = module.merge
    if not isinstance(module, windows.SeparableConv):
        return [_operation(module, step)]
    inner = f"{step.writes} (depthwise)"  # no tensor that can be asked for
    first = replace(step, writes=inner)
    return [
        _operation(module.depthwise, first),
        _operation(module.pointwise, replace(step, reads=(inner,))),
    ]


def _operation(module: nn.Module, step: Step) -> Operation:
    name = type(module).__name__
    fused = name in _FUSED
    # By name first: torch.ao's ReLU6 is a kind of ReLU.
    kind = _QUANTIZED.get(_FUSED.get(name, name), "")
    kind = kind or next((k for k, types in KINDS.items() if isinstance(module, types)), "other")
    applies = ("relu",) if fused or getattr(module, "relu", False) is True else ()
    if fused and isinstance(module, nn.Sequential):  # in float: the convolution, then the ReLU
        module = module[0]
    return Operation(
        kind,
        step.reads,
        step.writes,
        _constants(module, kind),
        applies,
        step.module or "",
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
            if kind == "conv" and array.ndim == 3:  # files have one spatial axis as a height of 1
                array = array[:, :, None]
            found[role] = array.T if kind == "dense" and role == "kernel" else array
    return found
