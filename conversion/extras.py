"""What is installed by which extra of this project, and the command that installs it."""

from __future__ import annotations

DISTRIBUTION = "keras-conversion-suite"

PACKAGES = {
    "ai_edge_litert": "litert",
    "hypothesis": "test",
    "keras": "keras",
    "onnx": "onnx",
    "onnx2torch": "onnx",
    "onnxruntime": "onnx",
    "pytest": "test",
    "pytest_benchmark": "test",
    "tensorflow": "keras",
    "tf2onnx": "keras",
    "torchao": "pt2e",
    "torchvision": "onnx",
}
"""Import name to the extra that brings it; what is not named here comes with the project."""


def install(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def advice(package: str) -> str:
    """The command that brings a package."""
    return install(PACKAGES[package]) if package in PACKAGES else f"pip install {package}"
