"""Proves that a Keras image model converted to ONNX, PyTorch and int8 is still the same model."""

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
from conversion.errors import UserError
from conversion.running import Running
from conversion.search.search import Choice
from conversion.settings import (
    CalibrationChoice,
    LitertScheme,
    OnnxScheme,
    Settings,
    TorchScheme,
)
from conversion.subjects.preprocessing import Preprocessing
from conversion.version import __version__

__all__ = [
    "CalibrationChoice",
    "Choice",
    "Detection",
    "LitertScheme",
    "OnnxScheme",
    "Preprocessing",
    "Running",
    "Searched",
    "Settings",
    "TorchScheme",
    "UserError",
    "Verification",
    "__version__",
    "convert",
    "evaluate",
    "power",
    "quantize",
    "search",
    "verify",
]
