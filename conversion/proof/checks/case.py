"""One artifact of one subject, and what the checks ask of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from conversion.backends import REFERENCE, Backend, Capability, backend
from conversion.backends.in_child import Opened, may_crash
from conversion.core.artifact import Artifact
from conversion.core.errors import NotMapped, UserError
from conversion.core.heap import give_back
from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About, Quantity
from conversion.core.settings import Settings
from conversion.core.spec import KERNELS
from conversion.proof.checks.logits import Logits, logits_of, saturated
from conversion.proof.metrics import accuracy
from conversion.proof.metrics.accuracy import Tally
from conversion.proof.metrics.compare import compare, is_constant
from conversion.proof.metrics.difference import Difference, with_rounding
from conversion.proof.metrics.views import LOGITS, SATURATED, views_of
from conversion.proof.taps.before_activation import logits_in
from conversion.proof.taps.by_values import EIGHT_BITS, ROUNDED
from conversion.proof.taps.opened import Exposed, Taps, align
from conversion.quantization import coverage
from conversion.readers.schema_by_keras import OVER_TIME
from conversion.workspace import Workspace
from conversion.workspace.layer_reference import Arrays

Found = TypeVar("Found")

VARIES = 1e-2
"""Of an output's largest value: one that varies by more needs no truth to be seen to vary."""

CONSTANT = (
    "the model gives all images the same outputs, so that no file of it can be judged by what it "
    "computes: pass --data FILE with images of its task, or train the model"
)
"""What is said of such a model."""


@dataclass(frozen=True, eq=False)
class Case:
    """One artifact of one subject, and what the checks ask of it.

    Attributes:
        workspace: where it comes from.
        name: the artifact's backend.
        known: what was found out already and more than one check asks for.
        held: `id` of the spec's weights that the file is known to have, element by element.
    """

    workspace: Workspace
    name: str
    known: dict[str, Any] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)

    def once(self, what: str, find: Callable[[], Found]) -> Found:
        """What more than one check asks for, found out when the first does.

        Args:
            what: a name for it, of its own.
            find: finds it out.
        """
        if what not in self.known:
            self.known[what] = find()
        found: Found = self.known[what]
        return found

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
        part = self.backend.scheme
        chosen = getattr(self.workspace.settings, part) if part else None
        if chosen is None or chosen == getattr(Settings(), part):
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

    @cached_property
    def heads(self) -> dict[str, str]:
        """Output name to what it means, or that it is saturated and compared before that."""
        spec = self.workspace.spec
        return {
            name: SATURATED if name in self.logits else spec.head(name) for name in spec.outputs
        }

    @property
    def heads_compared(self) -> dict[str, str]:
        """The same, with what is compared before an activation."""
        return self.heads | {logits_of(name): each.head for name, each in self.logits.items()}

    @cached_property
    def logits(self) -> dict[str, Logits]:
        """Outputs that softmax or sigmoid makes the same for every image, before that.

        None where the file does not show it; then parity has no power, and says so.
        """
        if self.backend.name == REFERENCE:
            return saturated(self.workspace, lambda name, _: self.workspace.layers.logits[1][name])
        shown = self.backend.is_float and self.backend.offers(Capability.TAPS)
        return saturated(self.workspace, self._before) if shown else {}

    def _before(self, output: str, exact: np.ndarray) -> np.ndarray | None:
        """What the file has before an output's activation."""
        try:
            exposed = self.exposed
        except UserError:  # the check of layers says so
            return None
        chunks = [inputs for inputs, _ in self.workspace.layers.chunks()]
        return logits_in(exposed, self.workspace.spec.outputs.index(output), chunks, exact)

    def tally(self, name: str) -> tuple[Tally, bool]:
        """An artifact's right answers on the test images, and whether they were kept."""
        data = self.workspace.test
        assert data.labels is not None
        found = self.workspace.outputs(name, data)
        return accuracy.tally(
            found.arrays[self.workspace.spec.outputs[0]], data.labels
        ), found.cached

    @cached_property
    def exposed(self) -> Exposed:
        """The artifact with every tensor in view.

        Raises:
            UserError: the file cannot be opened.
        """
        workspace = self.workspace
        probe = {name: array[:1] for name, array in workspace.layers.inputs.items()}
        opening = self.backend.capability(Capability.TAPS)
        found: Exposed = opening(self.artifact, workspace.spec, workspace.threads, probe)
        if not may_crash(self.artifact):
            return found
        own = (self.artifact, workspace.spec, workspace.threads, probe)
        opened = Opened(*own, workspace.memory)
        return replace(found, look=opened.look, run=opened.taps)

    @cached_property
    def taps(self) -> Taps:
        """The artifact with its layers in view, found on a few images."""
        if self.backend.is_float:
            rounded, probes = ROUNDED, self.workspace.layers.probes
        else:
            rounded, probes = EIGHT_BITS, self._probes_in_range
        found = align(self.workspace.spec, self.exposed, *probes, rounded)
        give_back()
        return found

    @property
    def _probes_in_range(self) -> tuple[Arrays, Arrays | None]:
        """Images that the ranges of an int8 artifact should hold."""
        if self.artifact.external:
            return self.workspace.layers.probes_in_range
        return self.workspace.calibrated_probes

    def why(self, error: Exception) -> str:
        """Why the artifact does not run, beginning with what may keep it from running.

        Args:
            error: what its runtime said.
        """
        if not self.backend.offers(Capability.WEAK_SPOT):
            return str(error)
        looking = self.backend.capability(Capability.WEAK_SPOT)
        spot = str(looking(self.artifact.path, self.workspace.spec))
        return "; ".join(filter(None, (spot, str(error))))

    @cached_property
    def noise(self) -> tuple[Difference, ...]:
        """Keras's distance from the truth, one difference an output.

        Raises:
            NoPower: the outputs are such that agreement would mean nothing.
        """
        views = views_of(self.heads)
        keras = self.workspace.outputs(REFERENCE).arrays
        found = compare(self.workspace.truth, keras, views, np.float32)
        return tuple(with_rounding(each, self.rounding.get(each.output)) for each in found)

    @property
    def rounding(self) -> dict[str, Difference]:
        """Output name to what any right runtime may be off by, beside Keras's noise."""
        known = self.workspace.layers.rounding
        return {name: each for name, each in known.items() if self.heads.get(name) != SATURATED}

    @cached_property
    def says_nothing(self) -> str:
        """That the model gives all images the same outputs; empty where one of them varies.

        A softmax or sigmoid that is saturated says nothing, but what it reads may.
        """
        spec, keras = self.workspace.spec, self.workspace.outputs(REFERENCE).arrays
        if any(array.std(axis=0).max() > VARIES * np.abs(array).max() for array in keras.values()):
            return ""
        exact = self.workspace.truth
        if not all(is_constant(exact[name], spec.head(name)) for name in spec.outputs):
            return ""
        before, _ = self.workspace.layers.logits
        heads = {n: {"softmax": LOGITS}.get(spec.head(n), "none") for n in spec.outputs}
        if not all(is_constant(before[name], head) for name, head in heads.items()):
            return ""
        return CONSTANT

    def skip(self, what: Quantity, reason: str) -> list[Measurement]:
        """What cannot be measured, and why."""
        return [self.about.measure(what, reason=reason, verdict=Verdict.SKIPPED)]

    @cached_property
    def in_float(self) -> dict[str, str]:
        """Layers that the artifact computes in float though it is an int8 one, and why."""
        settings, own = self.workspace.settings, self.backend
        if not own.scheme:
            return {}
        if self.artifact.external:
            if not own.offers(Capability.STATED_SCHEME):
                return {}
            stated = own.capability(Capability.STATED_SCHEME)(self.artifact.path)
            settings = replace(settings, **{own.scheme: stated})
        return coverage.in_float(self.workspace.spec, own.scheme, settings)

    def require_map(self) -> None:
        """Stop a check that looks for the layers of the spec in a file where one has no place.

        Raises:
            NotMapped: the model has a layer of the user's own, and nobody knows what it becomes, or
                one that goes through a sequence: in files that is a loop, or one operator that
                reorders weights and has time before the batch.
        """
        spec = self.workspace.spec
        for layer in spec.layers:
            if layer.kind in OVER_TIME:
                raise NotMapped(
                    f"'{layer.name}' ({layer.kind}) is a loop in the file, with time before the "
                    "batch: judged at the outputs"
                )
            if layer.kind in spec.custom.layers:
                raise NotMapped(
                    f"'{layer.name}' of the --custom file has no place in the map of layers"
                )

    def kernel_elements(self, left: Collection[str] = ()) -> int:
        """How many elements the kernels have that are not left in float.

        Args:
            left: layers that are, beside those of the scheme.
        """
        known = {*self.in_float, *left}
        layers = [each for each in self.workspace.spec.layers if each.name not in known]
        kernels = [
            each.weights[role] for each in layers for role in KERNELS if role in each.weights
        ]
        return sum({id(kernel): kernel.size for kernel in kernels}.values())  # a shared one is one
