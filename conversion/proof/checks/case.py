"""One artifact of one subject, and what the checks ask of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from conversion.backends import Backend, backend
from conversion.core.artifact import Artifact
from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About, Quantity
from conversion.core.settings import Settings
from conversion.proof.metrics import accuracy
from conversion.proof.metrics.accuracy import Tally
from conversion.proof.metrics.compare import VIEWS, Difference, compare
from conversion.proof.taps.kernels import ROLES
from conversion.quantization import coverage
from conversion.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Case:
    """One artifact of one subject, and what the checks ask of it.

    Attributes:
        workspace: where it comes from.
        name: the artifact's backend.
        measured: what was measured already and more than one check asks for.
    """

    workspace: Workspace
    name: str
    measured: dict[str, list[Measurement]] = field(default_factory=dict)

    @property
    def backend(self) -> Backend:
        """The artifact's backend."""
        return backend(self.name)

    @cached_property
    def artifact(self) -> Artifact:
        """The artifact."""
        return self.workspace.artifact(self.name)

    @cached_property
    def label(self) -> str:
        """The artifact's name, with its scheme where that is not the default."""
        parts = {"onnx-int8": "onnx", "torch-int8": "torch", "litert-int8": "litert"}
        part = parts.get(self.name)
        chosen = getattr(self.workspace.settings, part) if part else None
        if part is None or chosen is None or chosen == getattr(Settings(), part):
            return self.name
        return f"{self.name}[{chosen.label}]"

    @property
    def about(self) -> About:
        """What the measurements are about."""
        return About(self.workspace.subject.name, self.label)

    @property
    def is_default(self) -> bool:
        """Whether the artifact is made by the default choices."""
        return self.label == self.name and not self.artifact.external

    @property
    def is_regression_test(self) -> bool:
        """Whether the tight limits hold that our own quantizers keep on the reference subjects."""
        return self.is_default and self.workspace.subject.floor is not None

    @property
    def heads(self) -> dict[str, str]:
        """Output name to what it means."""
        return {name: self.workspace.spec.head(name) for name in self.workspace.spec.outputs}

    def tally(self, name: str) -> tuple[Tally, bool]:
        """An artifact's right answers on the test images, and whether they were kept."""
        data = self.workspace.test
        assert data.labels is not None
        found = self.workspace.outputs(name, data)
        return accuracy.tally(
            found.arrays[self.workspace.spec.outputs[0]], data.labels
        ), found.cached

    @cached_property
    def noise(self) -> tuple[Difference, ...]:
        """Keras's distance from the truth, one difference an output.

        Raises:
            NoPower: the outputs are such that agreement would mean nothing.
        """
        views = {name: VIEWS[head] for name, head in self.heads.items()}
        keras = self.workspace.outputs("keras-fp32").arrays
        return compare(self.workspace.truth, keras, views, np.float32)

    def skip(self, what: Quantity, reason: str) -> list[Measurement]:
        """What cannot be measured, and why."""
        return [self.about.measure(what, reason=reason, verdict=Verdict.SKIPPED)]

    @cached_property
    def in_float(self) -> dict[str, str]:
        """Layers that the artifact computes in float though it is an int8 one, and why."""
        settings = self.workspace.settings
        if self.backend.is_float:
            return {}
        if self.artifact.external:
            if self.name != "torch-int8":
                return {}
            from conversion.quantization.torch_static import stated_scheme

            # It opens into the modules of ours, by the scheme that it states, or not at all.
            settings = replace(settings, torch=stated_scheme(self.artifact.path))
        return coverage.in_float(self.workspace.spec, self.name, settings)

    def kernel_elements(self) -> int:
        """How many elements the kernels have that are not left in float."""
        layers = [each for each in self.workspace.spec.layers if each.name not in self.in_float]
        kernels = [each.weights[role] for each in layers for role in ROLES if role in each.weights]
        return sum({id(kernel): kernel.size for kernel in kernels}.values())  # a shared one is one
