"""Proves that a Keras image model converted to ONNX, PyTorch and int8 is still the same model."""

from conversion.interrupt import quiet_start

with quiet_start():
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
    from conversion.search.search import Choice
    from conversion.settings import CalibrationChoice, OnnxScheme, Settings, TorchScheme
    from conversion.subjects.preprocessing import Preprocessing

__version__ = "0.1.0"
__all__ = [
    "CalibrationChoice",
    "Choice",
    "Detection",
    "OnnxScheme",
    "Preprocessing",
    "Searched",
    "Settings",
    "TorchScheme",
    "UserError",
    "Verification",
    "convert",
    "evaluate",
    "power",
    "quantize",
    "search",
    "verify",
]
