"""The parameters of an int8 PyTorch file beside those recomputed from the spec and the ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conversion.backends.torch_module import attribute_name, state_of
from conversion.checks import folding, int8
from conversion.checks.limits import STEP
from conversion.checks.quantized import Pair
from conversion.spec import Layer, Spec

BODY, OBSERVER = "body.", ".activation_post_process"
_DENSE = "._packed_params._packed_params"


@dataclass(eq=False)
class Recomputed:
    """Every parameter of a state beside what it must be.

    Attributes:
        spec: the model.
        content: the file: ``state_dict``, ``scheme`` and ``ranges``.
        recorded: observer to scale and zero point, as the calibration recorded them.
        exact: whether weights must be equal; those of a file made elsewhere, within half a step.
    """

    spec: Spec
    content: Mapping[str, Any]
    recorded: Mapping[str, Mapping[str, Any]]
    exact: bool = True
    _visited: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.state: Mapping[str, Any] = self.content["state_dict"]
        self.after: dict[str, list[Layer]] = {layer.name: [] for layer in self.spec.layers}
        for layer in self.spec.layers:
            for name in dict.fromkeys(layer.inputs):
                self.after[name].append(layer)

    def pairs(self) -> list[Pair]:
        """All that can be compared."""
        kernels = [layer for layer in self.spec.layers if "kernel" in layer.weights]
        weights = [pair for layer in kernels for pair in self._weights(layer)]
        return [*self._activations(), *weights, *self._left_in_float()]

    def unchecked(self) -> list[str]:
        """Parts of the state, and ranges, that nothing was compared with."""
        named = [*self.state, *self.recorded, *self.content["ranges"]]
        return [name for name in dict.fromkeys(named) if name not in self._visited]

    def _activations(self) -> Iterator[Pair]:
        for name, range_ in self.recorded.items():
            prefix = name.removesuffix(OBSERVER)
            scale = np.array(range_["scale"], np.float32)
            zero = np.array(range_["zero_point"], np.int64)
            layer = self._group(self._layer(prefix))[-1]
            words, why = f"the output of {layer}", "as recorded"
            stated = self.content["ranges"].get(name)
            if stated is not None:
                self._visited.add(name)
                told = f"{words} as the file states it"
                value = np.array(stated["scale"], np.float64).astype(np.float32)
                yield Pair("scales", layer, told, value, scale, why=why)
                value = np.array(stated["zero_point"], np.int64)
                yield Pair("zero_points", layer, told, value, zero, why=why)
            if not self._keeps(prefix):
                continue
            for part, wanted in (("scale", scale), ("zero_point", zero)):
                found = self.state.get(f"{prefix}.{part}", _NOTHING)
                self._visited.add(f"{prefix}.{part}")
                yield Pair(f"{part}s", layer, words, found.numpy(), wanted, why=why)

    def _keeps(self, prefix: str) -> bool:
        """Whether a module has a scale of its own; ReLU6 is observed and keeps that before it."""
        layer = self.spec.layer(self._layer(prefix))
        own = prefix == BODY + attribute_name(layer.name) and "kernel" in layer.weights
        cast = prefix.startswith("enter.") or prefix.endswith((".enter", ".functional"))
        return own or cast

    def _weights(self, layer: Layer) -> Iterator[Pair]:
        prefix = BODY + attribute_name(layer.name)
        kernel, bias, stored, added = self._found(prefix, layer)
        per_channel = bool(self.content["scheme"]["per_channel"])
        group = self._group(layer.name)
        kernel, bias = self._folded(kernel, bias, group)
        owner, words = group[-1], f"the kernel of {layer.name}"
        wanted = int8.torch_scale(kernel, per_channel)
        if not isinstance(stored, Tensor) or not stored.is_quantized:
            found = stored if isinstance(stored, Tensor) else _NOTHING
            yield Pair("weights", owner, words, found.numpy(), int8.torch_integers(kernel, wanted))
            return
        whole, scale, zero, axis = _plain(stored)
        if self.exact:
            yield Pair("weights", owner, words, whole, int8.torch_integers(kernel, wanted))
            yield Pair("scales", owner, words, scale, wanted)
        else:
            steps = int8.Steps(scale, np.zeros(scale.shape, np.int64))
            unit = folding.along(scale, kernel.ndim, 0).astype(np.float64)
            slack = np.broadcast_to(STEP.value * unit, kernel.shape)
            real = int8.reals(whole, steps, 0)
            yield Pair("weights", owner, words, real, kernel, slack, f"within {STEP.value:g} steps")
            yield Pair("scales", owner, words, scale, np.abs(scale), why="positive")
        yield Pair("zero_points", owner, words, zero, np.zeros_like(zero))
        yield Pair("scales", owner, f"{words} by axis", np.array(axis), np.array(0))
        if bias is not None and isinstance(added, Tensor):
            words = f"the bias of {layer.name}"
            near = 0.0 if self.exact else 4.0 * float(np.spacing(np.abs(bias).max(initial=1.0)))
            yield Pair("biases", owner, words, added.detach().numpy(), bias, near)

    def _found(self, prefix: str, layer: Layer) -> tuple[Any, Any, Any, Any]:
        """Kernel and bias of the spec in PyTorch's layout, and those that the state has."""
        spec = {name: tensor.numpy() for name, tensor in _parameters(self.spec, layer).items()}
        packed = self.state.get(prefix + _DENSE)
        if isinstance(packed, tuple):
            stored, added = packed
            self._visited |= {prefix + _DENSE, f"{prefix}._packed_params.dtype"}
        else:
            stored, added = self.state.get(f"{prefix}.weight"), self.state.get(f"{prefix}.bias")
            self._visited |= {f"{prefix}.weight", f"{prefix}.bias"}
        return spec["weight"], spec.get("bias"), stored, added

    def _folded(self, kernel: Any, bias: Any, group: tuple[str, ...]) -> tuple[Any, Any]:
        for name in group[1:]:
            layer = self.spec.layer(name)
            if layer.kind == "BatchNormalization":
                kernel, bias = folding.folded_in_float32(kernel, bias, layer)
        return kernel, bias

    def _left_in_float(self) -> Iterator[Pair]:
        """Modules that run in float between two casts hold the spec's weights as they are."""
        for name, tensor in state_of(self.spec).items():
            attribute, _, role = name.rpartition(".")
            key = f"{BODY}{attribute}.module.{role}"
            if key in self.state:
                self._visited.add(key)
                part = "biases" if role == "bias" else "weights"
                layer = self._layer(BODY + attribute)
                words = f"the {role} of {layer}"
                yield Pair(part, layer, words, self.state[key].numpy(), tensor.numpy())

    def _group(self, name: str) -> tuple[str, ...]:
        """Layers that become one module: a kernel or sum, BatchNormalization, ReLU, in order."""
        layer = self.spec.layer(name)
        group, wanted = [name], ["relu"]
        if layer.kind in ("Conv2D", "DepthwiseConv2D"):
            wanted = ["norm", "relu"]
        elif layer.kind not in ("Dense", "Add"):
            return (name,)
        if layer.activation != "linear":
            return (name,)
        for kind in wanted:
            following = self.after[group[-1]]
            alone = len(following) == 1 and group[-1] not in self.spec.outputs
            fits = alone and len(following[0].inputs) == 1 and _is(following[0], kind)
            if fits and not self._in_float(following[0]):
                group.append(following[0].name)
        return tuple(group)

    def _in_float(self, layer: Layer) -> bool:
        """Whether a layer has weights of its own in the state, between two casts."""
        prefix = f"{BODY}{attribute_name(layer.name)}.module."
        return any(key.startswith(prefix) for key in self.state)

    def _layer(self, prefix: str) -> str:
        """The layer that a module belongs to."""
        if prefix.startswith("enter."):
            return self.spec.inputs[int(prefix.split(".")[1])]
        own = prefix.removeprefix(BODY).split(".")[0]
        names = {attribute_name(layer.name): layer.name for layer in self.spec.layers}
        fitting = [each for each in names if own == each or own.startswith(f"{each}_")]
        return names[max(fitting, key=len)] if fitting else own


_NOTHING = torch.zeros(0)


def _is(layer: Layer, kind: str) -> bool:
    if kind == "norm":
        return layer.kind == "BatchNormalization" and len(layer.shape) == 3
    plain = not any(layer.config.get(key) for key in ("negative_slope", "threshold"))
    bare = layer.kind == "ReLU" and layer.config.get("max_value") is None and plain
    return bare or (layer.kind == "Activation" and layer.activation == "relu")


def _parameters(spec: Spec, layer: Layer) -> dict[str, Tensor]:
    from conversion.backends.torch_layers import parameters

    return parameters(layer.kind, layer.config, layer.weights)


def _plain(stored: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Integers, scales, zero points and axis of a quantized tensor."""
    whole = stored.int_repr().numpy()
    if stored.qscheme() in (torch.per_channel_affine, torch.per_channel_symmetric):
        scale = stored.q_per_channel_scales().numpy().astype(np.float32)
        return whole, scale, stored.q_per_channel_zero_points().numpy(), stored.q_per_channel_axis()
    return whole, np.array(stored.q_scale(), np.float32), np.array(stored.q_zero_point()), 0
