"""What makes and opens artifacts: one file a backend, one registry, nothing heavy imported here."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from conversion.core.artifact import Artifact, Runner
from conversion.core.errors import MissingDependency, UserError
from conversion.core.extras import needs
from conversion.core.settings import Settings
from conversion.core.spec import Spec
from conversion.reference import KerasModel


@dataclass(frozen=True, eq=False)
class Ingredients:
    """What a backend builds from; it reads only what it declares in `Backend.needs`.

    Attributes:
        spec: the model as its file describes it.
        keras: the Keras model in the reference process.
        settings: the choices.
        artifacts: artifacts and ranges that it needs, by name.
    """

    spec: Spec
    keras: KerasModel
    settings: Settings
    artifacts: Mapping[str, Artifact]


class Implementation(Protocol):
    """What a backend's module holds."""

    def build(self, ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
        """Write the artifact to `target` and return its provenance."""
        ...

    def open(self, artifact: Artifact, ingredients: Ingredients, threads: int) -> Runner:
        """Open an artifact to run as deployed."""
        ...

    def stated_source(self, path: Path) -> str | None:
        """The digest of the source file that the artifact itself states."""
        ...


@dataclass(frozen=True)
class Backend:
    """One kind of artifact.

    Attributes:
        name: backend and precision, a stable word.
        module: the module that implements it, imported on first use.
        suffix: the ending of its files.
        needs: names of the artifacts that it is made from.
        settings: the parts of `Settings` that it depends on.
        packages: distributions that make or run it.
        baseline: the float artifact that an int8 one is measured against.
    """

    name: str
    module: str
    suffix: str
    needs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    baseline: str | None = None

    @property
    def is_float(self) -> bool:
        """Whether it computes in float32."""
        return self.name.endswith("fp32")

    @property
    def missing(self) -> str:
        """What is not installed that it needs, and how to get it; empty where it can be used."""
        absent = dict.fromkeys(
            package for package in self._imports() if importlib.util.find_spec(package) is None
        )
        return f"{self.name} needs {needs(tuple(absent))}" if absent else ""

    def _imports(self) -> Iterator[str]:
        """Import names of what makes or runs it and whatever it is made from."""
        yield from (distribution.replace("-", "_") for distribution in self.packages)
        makers = {**BACKENDS, **STEPS}
        for name in self.needs:
            if name in makers:
                yield from makers[name]._imports()

    def load(self) -> Implementation:
        """Import the implementation.

        Raises:
            MissingDependency: a package that it needs is not installed.
        """
        try:
            return cast(Implementation, importlib.import_module(self.module))
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] == "conversion":
                raise
            told = self.missing or f"{self.name} needs {needs((error.name.split('.')[0],))}"
            raise MissingDependency(f"Backend {told}.") from None


_TF = ("tensorflow", "keras", "numpy")

BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend("keras-fp32", "conversion.backends.keras_fp32", ".h5", packages=_TF),
        Backend(
            "onnx-fp32",
            "conversion.backends.onnx_fp32",
            ".onnx",
            settings=("opset",),
            packages=(*_TF, "tf2onnx", "onnx", "onnxruntime"),
        ),
        Backend(
            "torch-fp32",
            "conversion.backends.torch_fp32",
            ".pt",
            packages=("torch", "numpy"),
        ),
        Backend(
            "torch-via-onnx-fp32",
            "conversion.backends.torch_via_onnx",
            ".pt",
            needs=("onnx-fp32",),
            packages=("torch", "torchvision", "onnx2torch", "onnx", "numpy"),
        ),
        Backend(
            "onnx-int8",
            "conversion.quantization.onnx_static",
            ".onnx",
            needs=("onnx-prepared", "onnx-places", "onnx-ranges"),
            settings=("onnx",),
            packages=("onnx", "onnxruntime", "numpy"),
            baseline="onnx-fp32",
        ),
        Backend(
            "torch-int8",
            "conversion.quantization.torch_static",
            ".pt",
            needs=("torch-fp32", "torch-ranges"),
            settings=("torch",),
            packages=("torch", "numpy"),
            baseline="torch-fp32",
        ),
        Backend(
            "litert-fp32",
            "conversion.backends.litert_fp32",
            ".tflite",
            packages=(*_TF, "ai-edge-litert"),
        ),
        Backend(
            "litert-int8",
            "conversion.quantization.litert_static",
            ".tflite",
            needs=("calibration", "litert-places"),
            settings=("litert",),
            packages=(*_TF, "ai-edge-litert"),
            baseline="onnx-fp32",
        ),
    )
}
"""Every backend by name; a new one is one file and one entry here."""

STEPS: dict[str, Backend] = {
    step.name: step
    for step in (
        Backend(
            "onnx-prepared",
            "conversion.quantization.onnx_prepared",
            ".onnx",
            needs=("onnx-fp32",),
            packages=("onnx", "onnxruntime"),
        ),
        Backend(
            "onnx-places",
            "conversion.proof.taps.onnx_places",
            ".json",
            needs=("onnx-prepared",),
            packages=("onnx",),
        ),
        Backend(
            "onnx-ranges",
            "conversion.quantization.onnx_ranges",
            ".json",
            needs=("onnx-prepared", "calibration"),
            settings=("onnx.method",),
            packages=("onnx", "onnxruntime", "numpy"),
        ),
        Backend(
            "litert-places",
            "conversion.proof.taps.litert_places",
            ".tflite",
            needs=("calibration",),
            settings=("litert",),
            packages=(*_TF, "ai-edge-litert"),
        ),
        Backend(
            "torch-ranges",
            "conversion.quantization.torch_ranges",
            ".json",
            needs=("torch-fp32", "calibration"),
            settings=("torch",),
            packages=("torch", "numpy"),
        ),
    )
}
"""What lies between backends: built and kept like an artifact, never run."""


def available() -> list[str]:
    """Names of the backends whose packages are installed; those of an extra may not be."""
    return [name for name, each in BACKENDS.items() if not each.missing]


def backend(name: str) -> Backend:
    """The backend of that name.

    Raises:
        UserError: there is none; the sentence lists those there are.
    """
    if name not in BACKENDS:
        raise UserError(f"Unknown backend '{name}'; known: {', '.join(BACKENDS)}.")
    return BACKENDS[name]
