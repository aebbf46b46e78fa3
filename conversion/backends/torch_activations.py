"""Keras's activations as PyTorch modules, by name and as layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from conversion.backends.torch_operations import ThresholdRelu
from conversion.backends.torch_stage import Config, Stage


class Elementwise(nn.Module):
    """A function of every element, or along the last axis, that `torch.nn` has no module for."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, value: Tensor) -> Tensor:
        """Compute it for a tensor of any shape."""
        return self.function(value)


class SoftmaxOver(nn.Module):
    """Softmax over several axes together."""

    def __init__(self, axes: Sequence[int]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def forward(self, value: Tensor) -> Tensor:
        """Compute it for ``(N, ...)`` in the source layout."""
        return torch.exp(value - torch.logsumexp(value, self.axes, keepdim=True))


class ScaledElu(nn.Module):
    """ELU whose negative part has a factor; `nn.ELU` has it too, but computes it less exactly."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, value: Tensor) -> Tensor:
        """Compute it element by element."""
        return torch.where(value > 0, value, self.alpha * torch.expm1(value.clamp(max=0)))


def _squareplus(value: Tensor) -> Tensor:
    return (value + torch.sqrt(value * value + 4.0)) / 2.0


def _sparse_plus(value: Tensor) -> Tensor:
    bent = 0.25 * (value + 1.0) ** 2
    return torch.where(value < 1.0, bent, value).masked_fill(value <= -1.0, 0.0)


def _sparsemax(value: Tensor) -> Tensor:
    ordered = value.sort(dim=-1, descending=True).values
    sums = ordered.cumsum(-1)
    size = torch.arange(1, value.shape[-1] + 1, device=value.device)
    support = ordered - (sums - 1.0) / size > 0
    # The running sums are added up again: so does Keras 3.15, where the paper takes the last one.
    total = sums.masked_fill(~support, 0.0).sum(dim=-1, keepdim=True)
    return (value - (total - 1.0) / support.sum(dim=-1, keepdim=True)).clamp(min=0.0)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
    "selu": nn.SELU,
    "celu": nn.CELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "mish": nn.Mish,
    "glu": lambda: nn.GLU(dim=-1),
    "exponential": lambda: Elementwise(torch.exp),
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "squareplus": lambda: Elementwise(_squareplus),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_sigmoid_of_keras_2": lambda: Elementwise(lambda value: (0.2 * value + 0.5).clamp(0, 1)),
    "hard_silu": nn.Hardswish,
    "hard_swish": nn.Hardswish,
    "hard_tanh": nn.Hardtanh,
    "hard_shrink": nn.Hardshrink,
    "soft_shrink": nn.Softshrink,
    "tanh_shrink": nn.Tanhshrink,
    "sparse_plus": lambda: Elementwise(_sparse_plus),
    "sparse_sigmoid": lambda: Elementwise(lambda value: (0.5 * (value + 1.0)).clamp(0.0, 1.0)),
    "sparsemax": lambda: Elementwise(_sparsemax),
    "log_sigmoid": nn.LogSigmoid,
    "softmax": lambda: nn.Softmax(dim=-1),
    "log_softmax": lambda: nn.LogSoftmax(dim=-1),
}
"""Activation name to its module; ``linear`` is none."""

LAST_AXIS = ("glu", "sparsemax", "softmax", "log_softmax")
"""Those that need Keras's own layout."""


def _relu(config: Config) -> nn.Module:
    plain = not any(config.get(key) for key in ("negative_slope", "threshold"))
    ceiling = config.get("max_value")
    if plain and ceiling in (None, 6.0):
        return nn.ReLU() if ceiling is None else nn.ReLU6()
    return ThresholdRelu(config)


def _softmax(config: Config) -> nn.Module:
    axis = config.get("axis", -1)
    if isinstance(axis, int):
        return nn.Softmax(dim=axis)
    return SoftmaxOver(axis) if len(axis) > 1 else nn.Softmax(dim=axis[0])


LAYERS: dict[str, Callable[[Config], nn.Module]] = {
    "ReLU": _relu,
    "LeakyReLU": lambda c: nn.LeakyReLU(float(c.get("negative_slope", c.get("alpha", 0.3)))),
    "GELU": lambda config: nn.GELU("tanh" if config.get("approximate") else "none"),
    "ELU": lambda config: ScaledElu(float(config.get("alpha", 1.0))),
    "Softmax": _softmax,
}
"""Layer class to the module of its settings; it may stand in place of a name too."""


def stage(setting: Any, suffix: str = "") -> Stage:
    """The module of an activation.

    Args:
        setting: what a layer's settings say: a name other than ``linear``, or a layer.
        suffix: of the module's name.
    """
    if isinstance(setting, Mapping):
        kind = setting["class_name"]
        return layer_stage(kind, setting["config"], suffix)
    return Stage(suffix, ACTIVATIONS[setting](), "source" if setting in LAST_AXIS else "any")


def layer_stage(kind: str, config: Config, suffix: str = "") -> Stage:
    """The module of a layer in `LAYERS`."""
    return Stage(suffix, LAYERS[kind](config), "source" if kind == "Softmax" else "any")


def fused(config: Config) -> list[Stage]:
    """The activation that a layer applies itself, as a module after its own; empty for none."""
    setting = config.get("activation") or "linear"
    if setting == "linear":
        return []
    name = setting["class_name"].lower() if isinstance(setting, Mapping) else setting
    return [stage(setting, f"_{name}")]
