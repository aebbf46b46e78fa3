"""An int8 file with its layers in view, and whether each gives what it should for its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from math import prod

import numpy as np

from conversion.backends import Capability, backend
from conversion.core.artifact import Artifact
from conversion.core.errors import NoTruth, RunFailed
from conversion.core.spec import Layer
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.kernel_content import Kernels
from conversion.proof.checks.layers import own_truth
from conversion.proof.metrics import limits
from conversion.proof.metrics.sqnr import sqnr
from conversion.proof.taps.by_values import EIGHT_BITS
from conversion.proof.taps.candidates import apart
from conversion.proof.taps.kernels import kernels
from conversion.proof.taps.matches import Match
from conversion.proof.taps.network import Computed
from conversion.proof.taps.opened import Exposed, Taps, open_taps
from conversion.proof.taps.owners import Owners
from conversion.workspace import Workspace

PROBED = 64
"""The first images, of which a few tell the layers apart."""

IMAGES, VALUES = 16, 2**25
"""Images on which a layer that cannot be compared otherwise is judged by what it gives, fewer of a
large network: all its layers have so many values at most."""


def seen_in(case: Case) -> Seen:
    """An artifact opened, once for all checks that look at its layers.

    Raises:
        RunFailed: it does not run.
    """
    found = held_in(case)
    if found.failure is not None:
        raise found.failure
    return found


@lru_cache(maxsize=1)
def held_in(case: Case) -> Seen:
    """The same of an artifact that need not run: then none of its layers is found."""
    return Seen(case.workspace, case.name, case.artifact)


@lru_cache(maxsize=1)
def prepared_in(case: Case) -> Seen:
    """The float graph that an ONNX artifact of the suite was quantized from, opened once."""
    return Seen(case.workspace, "onnx-fp32", case.workspace.artifact("onnx-prepared"))


def owners_in(case: Case) -> Owners:
    """The layers in an artifact's file; none where it does not run, or a layer has no truth."""
    try:
        return held_in(case).owners
    except NoTruth:
        exposed = _exposed(case.workspace, case.name, case.artifact)
        return Owners(case.workspace.spec, exposed.network, {})


def _exposed(workspace: Workspace, name: str, artifact: Artifact) -> Exposed:
    """A file with nothing looked for in it."""
    probe = {each: array[:1] for each, array in workspace.parity_inputs.items()}
    look = backend(name).capability(Capability.TAPS)
    found: Exposed = look(artifact, workspace.spec, workspace.threads, probe)
    return found


class Seen:
    """A file opened, and its layers."""

    def __init__(self, workspace: Workspace, name: str, artifact: Artifact) -> None:
        """Find the layers.

        Args:
            workspace: the model and its images.
            name: a backend that opens the file and shows its layers.
            artifact: the file.
        """
        self.spec = workspace.spec
        elements = sum(prod(filter(None, layer.shape)) for layer in self.spec.layers)
        count = int(np.clip(VALUES // max(elements, 1), 2, IMAGES))
        self.inputs = {name: a[:count] for name, a in workspace.parity_inputs.items()}
        probed = {name: a[:PROBED] for name, a in workspace.parity_inputs.items()}
        self.failure: RunFailed | None = None
        self.taps: Taps
        try:
            self.taps = open_taps(name, artifact, self.spec, workspace.threads, probed)
        except RunFailed as error:
            self.failure = error
            self.taps = Taps(self.spec, {}, _exposed(workspace, name, artifact))
        self.network = self.taps.exposed.network
        self.owners = Owners(self.spec, self.network, self.taps.matches)
        self._noise: dict[str, float] = {}

    @cached_property
    def exact(self) -> Mapping[str, np.ndarray]:
        """Layer to what it should give, in float64."""
        return truth.evaluate(self.spec, self.inputs).layers

    @cached_property
    def values(self) -> dict[str, np.ndarray]:
        """Layer to its output in the file, of those that have the layer's shape there."""
        found = {} if self.failure else self.taps.layers(self.inputs).layers
        shapes = {name: match.shape for name, match in self.taps.matches.items()}
        return {n: each for n, each in found.items() if each.shape[1:] == shapes[n]}

    def integers(self, layer: str) -> Computed | None:
        """The tensor of integers that holds a layer's output; None where none does."""
        each = self.network.of(self.taps.matches[layer].tensor)
        while each.steps is None and each.moves and len(each.reads) == 1:
            each = self.network.of(each.reads[0])
        return None if each.steps is None else each

    @cached_property
    def sums(self) -> dict[str, str]:
        """Tensor to the layer whose value it holds as that is before its own activation."""
        found: dict[str, str] = {}
        for layer in self.spec.layers:
            match = self.taps.matches[layer.name]
            if match.tensor and layer.weights and layer.activation != "linear":
                found |= dict.fromkeys(self._sums(layer, match), layer.name)
        return found

    def _sums(self, layer: Layer, match: Match) -> list[str]:
        """Of one layer the tensor that is closest, where one is close."""
        names = [each.name for each in self.owners.parts[layer.name]]
        names = [name for name in names if name != self.network.root(match.tensor)]
        plain = replace(layer, config={**layer.config, "activation": "linear"})
        others = tuple(plain if each is layer else each for each in self.spec.layers)
        spec = replace(self.spec, layers=others)
        wanted = own_truth(spec, match.group, self.values, layer.name, self.inputs)
        given = self.taps.exposed.run(self.inputs, names) if names else {}
        read = {name: match.read(value) for name, value in given.items()}
        error = {n: apart(wanted, each) for n, each in read.items() if each.shape == wanted.shape}
        best = min(error, key=error.__getitem__, default="")
        return [best] if best and error[best] <= EIGHT_BITS else []

    @cached_property
    def in_float(self) -> frozenset[str]:
        """The layers whose kernels are stored in float; none where all are."""
        held = Kernels(self.owners)
        found = {layer.name: held.found(layer) for layer in self.spec.layers if kernels(layer)}
        floats = frozenset(
            name
            for name, each in found.items()
            if all(k is not None and k.is_located and k.constant.steps is None for k in each)
        )
        return floats if len(floats) < len(found) else frozenset()

    def behaves(self, layer: str) -> bool:
        """Whether a layer gives what it should for its inputs in the file, but for rounding."""
        return self.own(layer) >= limits.BEHAVES.value

    def own(self, layer: str) -> float:
        """SQNR of what a layer's group gives for the inputs that it has in the file, in dB."""
        match = self.taps.matches.get(layer)
        if match is None:
            return -np.inf
        group, end = match.group, match.group[-1]
        if end not in self._noise:
            self._noise[end] = self._own(end, group)
        return self._noise[end]

    def _own(self, end: str, group: tuple[str, ...]) -> float:
        value = self.values.get(end)
        if value is None or not np.isfinite(value).all():
            return -np.inf
        return sqnr(own_truth(self.spec, group, self.values, end, self.inputs), value)
