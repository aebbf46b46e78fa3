"""What a backend is: one kind of artifact, how it is made and opened, and what it lets be seen."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from conversion.core.artifact import Artifact, Runner, versions
from conversion.core.settings import Settings
from conversion.core.spec import Spec
from conversion.reference import KerasModel

Precision = Literal["float32", "int8"]


class Capability(StrEnum):
    """What a check may ask of a backend beside its outputs; the value says it in words.

    What stands for one in `Backend.capabilities` is a function, or where it lies, as
    ``module:function``; its arguments are given here.
    """

    FILES_BESIDE = "files beside its first"
    """``(path) -> tuple[Path, ...]``: what the first file refers to"""
    ONNX_FILE = "an ONNX graph as its file"
    """``(path) -> ModelProto``"""
    TAPS = "intermediate outputs"
    """``(artifact, spec, threads, {input: one image}) -> conversion.proof.taps.opened.Exposed``"""
    STORED_WEIGHTS = "stored weights"
    """``(case) -> measurements``: are those in the file the spec's?"""
    EIGHT_BIT_WEIGHTS = "weights in eight bits"
    """``(case) -> measurements``: is every kernel stored in eight bits?"""
    QUANTIZATION_PARAMETERS = "quantization parameters"
    """``(case) -> measurements``: is every scale, zero point and weight the one it must be?"""
    RANGES = "calibrated ranges"
    """``(case) -> measurements``: are they those of the calibration images?"""
    INTEGER_KERNELS = "integer kernels"
    """``(case) -> list[conversion.proof.metrics.kernels.Step]``: what runs, and in which numbers"""
    NARROW_SUMS = "sums that may overflow 16 bits"
    """``(case) -> measurements``: what the file gives on CPUs that add in 16 bits"""
    WEAK_SPOT = "what may keep its files from running"
    """``(path, spec) -> str``: a sentence; only asked where a file does not run"""
    STATED_SCHEME = "the scheme that its file states"
    """``(path) -> a part of Settings``"""


@dataclass(frozen=True, eq=False)
class Ingredients:
    """What a backend builds from; it reads only what it declares in `Backend.needs`.

    Attributes:
        spec: the model as its file describes it.
        keras: the Keras model in the reference process.
        settings: the choices.
        artifacts: artifacts and ranges that it needs, by name.
        packages: distributions that make or run the backend's artifacts.
    """

    spec: Spec
    keras: KerasModel
    settings: Settings
    artifacts: Mapping[str, Artifact]
    packages: tuple[str, ...] = ()

    @property
    def versions(self) -> dict[str, str]:
        """Versions of Python and of the backend's packages, for the provenance."""
        return versions(self.packages)


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
        endings: of its files, the one that is opened first, ``(".xml", ".bin")``; none where the
            artifact is a file of the source's own kind.
        precision: what it computes in.
        needs: names of the artifacts that it is made from.
        settings: the parts of `Settings` that it depends on.
        scheme: the part of them that says how it is quantized; empty for float32.
        packages: distributions that make or run it.
        baseline: the float artifact that an int8 one is measured against.
        capabilities: what checks may ask of it; one that asks for something else is skipped.
        fragile: whether its runtime ends the process on some files; they are run in a child then.
        broken: why it cannot be used at all; one of another distribution may not load.
    """

    name: str
    module: str
    endings: tuple[str, ...] = ()
    precision: Precision = "float32"
    needs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    scheme: str = ""
    packages: tuple[str, ...] = ()
    baseline: str | None = None
    capabilities: Mapping[Capability, str | Callable[..., Any]] = field(default_factory=dict)
    fragile: bool = False
    broken: str = ""

    @property
    def is_float(self) -> bool:
        """Whether it computes in float32."""
        return self.precision == "float32"

    def offers(self, capability: Capability) -> bool:
        """Whether a check may ask this of it."""
        return capability in self.capabilities

    def capability(self, capability: Capability) -> Callable[..., Any]:
        """The function behind a capability, imported on first use.

        Raises:
            KeyError: the backend does not offer it.
        """
        found = self.capabilities[capability]
        if not isinstance(found, str):
            return found
        module, _, function = found.partition(":")
        return cast(Callable[..., Any], getattr(importlib.import_module(module), function))

    def files_beside(self, path: Path) -> tuple[Path, ...]:
        """The other files of an artifact, by the one that is opened.

        Args:
            path: the first file. The others have its stem and the other endings, or are what the
                capability `FILES_BESIDE` reads off it.
        """
        named = tuple(path.with_suffix(ending) for ending in self.endings[1:])
        if not self.offers(Capability.FILES_BESIDE):
            return named
        return (*named, *self.capability(Capability.FILES_BESIDE)(path))
