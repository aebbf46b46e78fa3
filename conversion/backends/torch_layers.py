"""Keras layers as PyTorch modules: settings, padding and layouts, one builder a layer class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from conversion.backends import (
    torch_applications,
    torch_elementwise,
    torch_normalization,
    torch_windows,
)
from conversion.backends.torch_activations import ACTIVATIONS as ACTIVATIONS
from conversion.backends.torch_activations import fused
from conversion.backends.torch_stage import Builder, Config

LAYERS: dict[str, Builder] = {
    **torch_windows.layers(fused),
    **torch_elementwise.LAYERS,
    **torch_normalization.LAYERS,
    **torch_applications.LAYERS,
}
"""Layer class to the stages that compute it."""

_ROLES = {
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "alpha": "weight",
    "scale": "weight",
    "mean": "mean",
    "variance": "variance",
}


def _arranged(kind: str, role: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    if kind in torch_windows.WEIGHTED:
        return torch_windows.parameter(kind, role, array)
    return ("weight", array.T) if role == "kernel" else (_ROLES[role], array)


def parameters(kind: str, config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """A layer's weights under PyTorch's names and in PyTorch's layout.

    Args:
        kind: the Keras class name.
        config: the layer's settings.
        weights: arrays by role, in Keras's layout.

    Returns:
        Parameter or buffer name to a float32 tensor; every weight is used exactly once.

    Raises:
        KeyError: a role that no rule knows, or two for one name: a weight would be left unused.
    """
    found: dict[str, Tensor] = {}
    for role, array in weights.items():
        name, arranged = _arranged(kind, role, array)
        if name in found:
            raise KeyError(f"{role} beside another weight that is '{name}' in PyTorch")
        found[name] = torch.from_numpy(np.ascontiguousarray(arranged).copy())
    if kind == "BatchNormalization":
        size = max(map(len, weights.values()), default=0)
        for setting, name, neutral in (("scale", "weight", 1.0), ("center", "bias", 0.0)):
            if not config[setting]:
                if name in found:
                    raise KeyError(f"{name}, for which {setting}=False leaves no place")
                found[name] = torch.full((size,), neutral)
        found["num_batches_tracked"] = torch.tensor(0)
    return found
