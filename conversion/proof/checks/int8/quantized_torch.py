"""The parameters of an int8 PyTorch file beside those recomputed from the spec and the ranges."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conversion.backends.torch_module import attribute_name, state_of
from conversion.core.settings import Settings, TorchScheme
from conversion.core.spec import KERNELS, Layer, Spec
from conversion.proof.checks.int8.torch_groups import CONVOLUTIONS, Groups
from conversion.proof.metrics import folding, int8
from conversion.proof.metrics.limits import STEP
from conversion.proof.metrics.quantized import Pair
from conversion.quantization import coverage

BODY, OBSERVER = "body.", ".activation_post_process"
_DEPTHWISE, _PARTIAL = "'s depthwise part", "'s sum of its first inputs"
_DENSE = "._packed_params._packed_params"


@dataclass(eq=False)
class Recomputed:
    """Every parameter of a state beside what it must be.

    Attributes:
        spec: the model.
        content: the file: ``state_dict``, ``scheme`` and ``ranges``.
        recorded: observer to scale and zero point, as the calibration recorded them.
        exact: whether weights must be equal; those of an external file, within half a step.
        chosen: layers that the scheme leaves in float.
    """

    spec: Spec
    content: Mapping[str, Any]
    recorded: Mapping[str, Mapping[str, Any]]
    exact: bool = True
    chosen: Collection[str] = ()
    _visited: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.state: Mapping[str, Any] = self.content["state_dict"]
        self._scheme = TorchScheme(**self.content["scheme"])
        by_choice = dict.fromkeys(self.chosen, coverage.BY_CHOICE)
        self.in_float = coverage.in_float(self.spec, "torch", Settings()) | by_choice
        self._group = Groups(self.spec, self.chosen).of

    def pairs(self) -> list[Pair]:
        """All that can be compared."""
        weights = [pair for layer in self.spec.layers for pair in self._weights(layer)]
        fused = [pair for layer in self.spec.layers for pair in self._fused_in_float(layer)]
        return [*self._activations(), *weights, *fused, *self._left_in_float()]

    def unchecked(self) -> list[str]:
        """Parts of the state, and ranges, that nothing was compared with."""
        named = [*self.state, *self.recorded, *self.content["ranges"]]
        return [name for name in dict.fromkeys(named) if name not in self._visited]

    def _activations(self) -> Iterator[Pair]:
        for name, range_ in self.recorded.items():
            prefix = name.removesuffix(OBSERVER)
            scale = np.array(range_["scale"], np.float32)
            zero = np.array(range_["zero_point"], np.int64)
            layer, inner = self._layer(prefix), _inner(prefix)
            layer = layer if inner else self._group(layer)[-1]
            words, why = f"the output of {layer}{inner}", "as recorded"
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
        own = prefix in [f"{BODY}{_join(layer, part)}" for part in self._parts(layer)]
        cast = prefix.startswith("enter.") or prefix.endswith((".enter", ".functional"))
        return own or cast or _inner(prefix) == _PARTIAL

    def _parts(self, layer: Layer) -> tuple[str, ...]:
        """The modules of a layer that multiply in integers, in order; empty names the layer's."""
        if layer.name in self.in_float or not any(role in layer.weights for role in KERNELS):
            return ()
        return _modules(layer)

    def _weights(self, layer: Layer) -> Iterator[Pair]:
        if not self._parts(layer):
            return
        for part, owner, words, kernel, bias in self._expected(layer):
            found = self._module(f"{BODY}{_join(layer, part)}", owner, words, kernel, bias)
            yield from self._covering(layer, found)

    def _covering(
        self, layer: Layer, pairs: Iterable[Pair], in_float: bool = False
    ) -> Iterator[Pair]:
        """Pairs that show the weights of a layer and of what is folded into it."""
        group = [self.spec.layer(name) for name in self._group(layer.name)]
        covers = tuple(array for each in group for array in each.weights.values())
        exact = in_float and len(covers) == len(layer.weights)
        yield from (replace(pair, covers=covers, exact=exact) for pair in pairs)

    def _fused_in_float(self, layer: Layer) -> Iterator[Pair]:
        """Layers that the scheme leaves in float, with what is folded into them."""
        if self._fuses_in_float(layer):
            yield from self._covering(layer, self._kept_in_float(layer), in_float=True)

    def _kept_in_float(self, layer: Layer) -> Iterator[Pair]:
        for part, owner, words, kernel, bias in self._expected(layer):
            prefix = f"{BODY}{attribute_name(layer.name)}.module.{part}".rstrip(".")
            inside = "" if f"{prefix}.weight" in self.state else ".0"  # beside a ReLU
            for role, wanted in (("weight", kernel), ("bias", bias)):
                key = f"{prefix}{inside}.{role}"
                self._visited.add(key)
                if wanted is None and key not in self.state:
                    continue
                value = np.zeros(len(kernel), np.float32) if wanted is None else wanted
                near = 0.0 if self.exact else 4.0 * float(np.spacing(np.abs(value).max()))
                found = self.state.get(key, _NOTHING).numpy()
                told = f"the {role} of {words}"
                yield Pair(
                    "biases" if role == "bias" else "weights", owner, told, found, value, near
                )

    def _fuses_in_float(self, layer: Layer) -> bool:
        fusible = layer.kind in (*CONVOLUTIONS, "Dense")
        return layer.name in self.chosen and fusible

    def _expected(self, layer: Layer) -> Iterator[tuple[str, str, str, np.ndarray, Any]]:
        """Each module of a layer: its part, its owner, its name, its kernel and its bias."""
        parts, group = _modules(layer), self._group(layer.name)
        spec = {name: tensor.numpy() for name, tensor in _parameters(self.spec, layer).items()}
        for part in parts:
            kernel = spec[f"{part}.weight".strip(".")]
            bias = spec.get(f"{part}.bias".strip("."))
            last = part == parts[-1]
            if last:
                kernel, bias = self._folded(kernel, bias, group)
            words = f"{layer.name}{'' if last else _DEPTHWISE}"
            yield part, group[-1] if last else layer.name, words, kernel, bias

    def _module(
        self, prefix: str, owner: str, name: str, kernel: np.ndarray, bias: np.ndarray | None
    ) -> Iterator[Pair]:
        """Kernel and bias of one module beside those that belong there."""
        stored, added = self._found(prefix)
        words = f"the kernel of {name}"
        wanted = int8.torch_scale(kernel, self._scheme.per_channel, self._scheme.seven_bits)
        integers = int8.torch_integers(kernel, wanted)
        if not isinstance(stored, Tensor) or not stored.is_quantized:
            found = stored if isinstance(stored, Tensor) else _NOTHING
            yield Pair("weights", owner, words, found.numpy(), integers)
            return
        whole, scale, zero, axis = _plain(stored)
        if self.exact:
            yield Pair("weights", owner, words, whole, integers)
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
        if bias is not None or isinstance(added, Tensor):
            value = np.zeros(len(kernel), np.float32) if bias is None else bias
            near = 0.0 if self.exact else 4.0 * float(np.spacing(np.abs(value).max(initial=1.0)))
            found = added.detach() if isinstance(added, Tensor) else _NOTHING
            yield Pair("biases", owner, f"the bias of {name}", found.numpy(), value, near)

    def _found(self, prefix: str) -> tuple[Any, Any]:
        """Kernel and bias that the state has."""
        packed = self.state.get(prefix + _DENSE)
        if isinstance(packed, tuple):
            self._visited |= {prefix + _DENSE, f"{prefix}._packed_params.dtype"}
            return packed[0], packed[1]
        self._visited |= {f"{prefix}.weight", f"{prefix}.bias"}
        return self.state.get(f"{prefix}.weight"), self.state.get(f"{prefix}.bias")

    def _folded(self, kernel: Any, bias: Any, group: tuple[str, ...]) -> tuple[Any, Any]:
        for name in group[1:]:
            layer = self.spec.layer(name)
            if layer.kind == "BatchNormalization":
                kernel, bias = folding.folded_in_float32(kernel, bias, layer)
        return kernel, bias

    def _left_in_float(self) -> Iterator[Pair]:
        """Modules that run in float between two casts hold the spec's weights as they are."""
        multiplying = [
            layer.name
            for layer in self.spec.layers
            if self._parts(layer) or self._fuses_in_float(layer)
        ]
        whole = {member for name in multiplying for member in self._group(name)}
        for name, tensor in state_of(self.spec).items():
            attribute, _, role = name.partition(".")
            layer, key = self._layer(BODY + attribute), f"{BODY}{attribute}.module.{role}"
            if key in self._visited:
                continue
            if key in self.state or layer not in whole:
                self._visited.add(key)
                part = "biases" if role.endswith("bias") else "weights"
                found = self.state.get(key, _NOTHING).numpy()
                covers = tuple(self.spec.layer(layer).weights.values())
                words = f"the {role} of {layer}"
                yield Pair(part, layer, words, found, tensor.numpy(), covers=covers, exact=True)

    def _layer(self, prefix: str) -> str:
        """The layer that a module belongs to."""
        if prefix.startswith("enter."):
            return self.spec.inputs[int(prefix.split(".")[1])]
        own = prefix.removeprefix(BODY).split(".")[0]
        names = {attribute_name(layer.name): layer.name for layer in self.spec.layers}
        fitting = [each for each in names if own == each or own.startswith(f"{each}_")]
        return names[max(fitting, key=len)] if fitting else own


_NOTHING = torch.zeros(0)


def _modules(layer: Layer) -> tuple[str, ...]:
    """The modules of a layer that multiply, in order; empty names the layer's."""
    return ("depthwise", "pointwise") if layer.kind.startswith("Separable") else ("",)


def _inner(prefix: str) -> str:
    """Which part of its layer a module is, in words, where its value is not the layer's."""
    parts = prefix.split(".")[2:]
    return _DEPTHWISE if parts == ["depthwise"] else _PARTIAL if "partial" in parts else ""


def _join(layer: Layer, part: str) -> str:
    return f"{attribute_name(layer.name)}.{part}".rstrip(".")


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
