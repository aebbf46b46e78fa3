"""The state of an int8 PyTorch file, by layer and role."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conversion.backends.torch_module import attribute_name
from conversion.core.spec import Spec
from conversion.proof.faults.fault import NotInjectable
from conversion.proof.faults.integer_operators import Edit

PACKED = "_packed_params._packed_params"
"""A dense layer's entry: a pair of kernel and bias."""


class IntegerState:
    """The ``state_dict`` of an int8 file, which is changed in place.

    Attributes:
        entries: the state.
        spec: the model that it was made from.
    """

    def __init__(self, entries: dict[str, Any], spec: Spec) -> None:
        self.entries, self.spec = entries, spec

    def edit(self, layer: str, role: str, edit: Edit) -> None:
        """Change what a layer stores in a role.

        Raises:
            NotInjectable: it stores nothing there.
        """
        if role in ("scale", "zero_point"):
            self._edit(self.place(layer, role), edit)
            return
        kernel, bias = self._weights(layer)
        if role == "bias":
            bias = _edited(bias.detach(), edit)
        elif role == "kernel":
            kernel = packed(_edited(kernel.int_repr(), edit), kernel.q_per_channel_scales())
        else:
            kernel = packed(kernel.int_repr(), _edited(kernel.q_per_channel_scales(), edit))
        name = f"body.{attribute_name(layer)}."
        if f"{name}weight" in self.entries:
            self.entries[f"{name}weight"], self.entries[f"{name}bias"] = kernel, bias
        else:
            self.entries[name + PACKED] = (kernel, bias)

    def edit_all(self, role: str, edit: Edit) -> None:
        """Change the scale or the zero point of every activation."""
        for name in [each for each in self.entries if each.endswith(role)]:
            self._edit(name, edit)

    def place(self, layer: str, role: str) -> str:
        """The entry with the scale or zero point of what a layer gives.

        Raises:
            NotInjectable: there is none.
        """
        name = f"body.{attribute_name(layer)}"
        for found in (f"{name}.{role}", f"{name}.functional.{role}"):
            if found in self.entries:
                return found
        raise NotInjectable(f"{layer} has no {role}")

    def _edit(self, name: str, edit: Edit) -> None:
        self.entries[name] = _edited(self.entries[name], edit)

    def _weights(self, layer: str) -> tuple[Tensor, Tensor]:
        name = f"body.{attribute_name(layer)}."
        pair: Any = self.entries.get(name + PACKED)
        if pair is None:
            pair = self.entries.get(f"{name}weight"), self.entries.get(f"{name}bias")
        if any(part is None for part in pair) or not pair[0].is_quantized:
            raise NotInjectable(f"{layer} has no integer kernel with a bias")
        return pair[0], pair[1]


def packed(integers: Tensor, scales: Tensor) -> Tensor:
    """A kernel with one scale for each output channel, from its integers and scales."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantized tensors are deprecated; torch.ao makes them
        zero_points = torch.zeros(len(scales), dtype=torch.int64)
        return torch._make_per_channel_quantized_tensor(integers, scales, zero_points, 0)


def _edited(tensor: Tensor, edit: Edit) -> Tensor:
    array = tensor.numpy().copy()
    found = np.asarray(edit(array.copy()), array.dtype).reshape(array.shape)
    return torch.from_numpy(np.ascontiguousarray(found).reshape(array.shape))
