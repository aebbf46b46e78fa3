"""Known bugs to inject: one function and one line of its module's list a fault."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conversion.proof.faults.fault import Fault

MODULES = (
    "inputs",
    "padding",
    "convolutions",
    "normalization",
    "activations",
    "merging",
    "pooling",
    "weights",
    "other_models",
    "graph_io",
    "outputs",
    "calibration_sets",
    "recorded_ranges",
    "onnx_quantization",
    "onnx_weights",
    "torch_quantization",
    "integer_kernels",
    "litert",
    "wrong_kinds",
    "measuring",
    "evaluating",
    "one_class",
)
"""Modules of faults in the order of the data's way; imported when they are asked for, since they
need ONNX and PyTorch."""


def faults_of(module: str) -> tuple[Fault, ...]:
    """The faults of one module.

    Args:
        module: one of `MODULES`.
    """
    found: tuple[Fault, ...] = importlib.import_module(f"conversion.proof.faults.{module}").FAULTS
    return found


def all_faults() -> tuple[Fault, ...]:
    """Every known fault, in the order of the data's way."""
    return tuple(fault for module in MODULES for fault in faults_of(module))
