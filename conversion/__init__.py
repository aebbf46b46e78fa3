"""Proves that a Keras image model converted to ONNX, PyTorch and int8 is still the same model."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from conversion.version import __version__ as __version__

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
    from conversion.artifact import Artifact, Store
    from conversion.checks.accuracy import Tally
    from conversion.demands import Demands
    from conversion.detection import Power
    from conversion.errors import MissingDependency, ReferenceCrashed, UserError
    from conversion.measurement import Concern, Measurement, Verdict
    from conversion.running import Running
    from conversion.search.search import Choice, Found
    from conversion.settings import (
        CalibrationChoice,
        LitertScheme,
        OnnxScheme,
        Settings,
        TorchScheme,
    )
    from conversion.subjects.arrays import Data
    from conversion.subjects.keras_object import Model
    from conversion.subjects.preprocessing import Preprocessing

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
    "conversion.artifact": ("Artifact", "Store"),
    "conversion.checks.accuracy": ("Tally",),
    "conversion.demands": ("Demands",),
    "conversion.detection": ("Power",),
    "conversion.errors": ("MissingDependency", "ReferenceCrashed", "UserError"),
    "conversion.measurement": ("Concern", "Measurement", "Verdict"),
    "conversion.running": ("Running",),
    "conversion.search.search": ("Choice", "Found"),
    "conversion.settings": (
        "CalibrationChoice",
        "LitertScheme",
        "OnnxScheme",
        "Settings",
        "TorchScheme",
    ),
    "conversion.subjects.arrays": ("Data",),
    "conversion.subjects.keras_object": ("Model",),
    "conversion.subjects.preprocessing": ("Preprocessing",),
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


class _Package(ModuleType):
    """The package, whose `search` is the function also after `conversion.search` was imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name == "search" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
