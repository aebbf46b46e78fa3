"""What is installed by which extra of this project, and the command that installs it."""

from __future__ import annotations

from collections.abc import Sequence

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


def needs(packages: Sequence[str]) -> str:
    """Packages that are missing, and the one command that brings them all."""
    plain = [package for package in packages if package not in PACKAGES]
    extras = ",".join(dict.fromkeys(PACKAGES[each] for each in packages if each in PACKAGES))
    wanted = [*([f"'{DISTRIBUTION}[{extras}]'"] if extras else []), *plain]
    named = ", ".join(f"'{package}'" for package in packages)
    noun = "package" if len(packages) == 1 else "packages"
    return f"the {noun} {named}: pip install {' '.join(wanted)}"
