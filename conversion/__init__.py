"""Proves that a Keras image model converted to ONNX, PyTorch and int8 is still the same model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from conversion.core.version import __version__ as __version__

if TYPE_CHECKING:
    from conversion.api import (
        Detection,
        Searched,
        Verification,
        convert,
        evaluate,
        power,
        quantize,
        search,
        verify,
    )
    from conversion.core.artifact import Artifact, Store
    from conversion.core.demands import Demands
    from conversion.core.errors import MissingDependency, ReferenceCrashed, UserError
    from conversion.core.measurement import Concern, Measurement, Verdict
    from conversion.core.running import Running
    from conversion.core.settings import (
        CalibrationChoice,
        LitertScheme,
        OnnxScheme,
        Settings,
        TorchScheme,
    )
    from conversion.proof.faults.power import Power
    from conversion.proof.metrics.accuracy import Tally
    from conversion.proof.search.search import Choice, Found
    from conversion.subjects.arrays import Data
    from conversion.subjects.keras_object import Model
    from conversion.subjects.preprocessing import Preprocessing
    from conversion.subjects.shipped import Shipping

__all__ = [
    "Artifact",
    "CalibrationChoice",
    "Choice",
    "Concern",
    "Data",
    "Demands",
    "Detection",
    "Found",
    "LitertScheme",
    "Measurement",
    "MissingDependency",
    "Model",
    "OnnxScheme",
    "Power",
    "Preprocessing",
    "ReferenceCrashed",
    "Running",
    "Searched",
    "Settings",
    "Shipping",
    "Store",
    "Tally",
    "TorchScheme",
    "UserError",
    "Verdict",
    "Verification",
    "convert",
    "evaluate",
    "power",
    "quantize",
    "search",
    "verify",
]

_HOMES = {
    "conversion.core.artifact": ("Artifact", "Store"),
    "conversion.proof.metrics.accuracy": ("Tally",),
    "conversion.core.demands": ("Demands",),
    "conversion.proof.faults.power": ("Power",),
    "conversion.core.errors": ("MissingDependency", "ReferenceCrashed", "UserError"),
    "conversion.core.measurement": ("Concern", "Measurement", "Verdict"),
    "conversion.core.running": ("Running",),
    "conversion.proof.search.search": ("Choice", "Found"),
    "conversion.core.settings": (
        "CalibrationChoice",
        "LitertScheme",
        "OnnxScheme",
        "Settings",
        "TorchScheme",
    ),
    "conversion.subjects.arrays": ("Data",),
    "conversion.subjects.keras_object": ("Model",),
    "conversion.subjects.preprocessing": ("Preprocessing",),
    "conversion.subjects.shipped": ("Shipping",),
}
"""Where the public names are defined; those that are missing here are in `conversion.api`."""


if not TYPE_CHECKING:  # for whom any name at all would be one of the package's

    def __getattr__(name: str) -> Any:
        """A public name, imported when it is first used: every child imports this package."""
        if name not in __all__:
            raise AttributeError(f"module 'conversion' has no attribute '{name}'")
        home = next((home for home, names in _HOMES.items() if name in names), "conversion.api")
        found = globals()[name] = getattr(import_module(home), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
