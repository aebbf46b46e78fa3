"""An int8 file with its layers in view, and whether each gives what it should for its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from conversion.core.errors import NoTruth, RunFailed
from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.kernel_content import Kernels
from conversion.proof.checks.layers import own_truth
from conversion.proof.metrics import limits
from conversion.proof.metrics.int8 import in_steps
from conversion.proof.metrics.sqnr import sqnr
from conversion.proof.taps.by_values import RECOGNISED
from conversion.proof.taps.candidates import apart
from conversion.proof.taps.foldings import is_affine
from conversion.proof.taps.kernels import kernels
from conversion.proof.taps.matches import Match
from conversion.proof.taps.moving import moves
from conversion.proof.taps.network import Computed
from conversion.proof.taps.opened import Taps, align, open_onnx
from conversion.proof.taps.owners import Owners, kernel_of
from conversion.workspace import Workspace

CONSTANT = 4.0
"""Steps by which a channel may be off in the mean: rounding of kernels adds up to one or two, a
bias that is lost to tens."""

IMAGES = 16
"""Images at most on which a layer is judged by what it gives."""


def seen_in(case: Case) -> Seen:
    """An artifact with its layers in view, once for all checks that look at them.

    Raises:
        RunFailed: it does not run.
    """
    found = held_in(case)
    if found.failure is not None:
        raise found.failure
    return found


def held_in(case: Case) -> Seen:
    """The same of an artifact that need not run: then none of its layers is found."""
    return case.once("layers in the file", lambda: _held_in(case))


def _held_in(case: Case) -> Seen:
    try:
        return Seen(case.workspace, case.taps)
    except RunFailed as error:
        return Seen(case.workspace, Taps(case.workspace.spec, {}, case.exposed), error)


def prepared_in(case: Case) -> Seen:
    """The float graph that an ONNX artifact of the suite was quantized from."""
    return case.once("layers in the prepared graph", lambda: _prepared_in(case))


def _prepared_in(case: Case) -> Seen:
    workspace = case.workspace
    graph, spec = workspace.artifact("onnx-prepared"), workspace.spec
    exposed = open_onnx(graph, spec, workspace.threads, {})
    return Seen(workspace, align(spec, exposed, *workspace.layers.probes))


def owners_in(case: Case) -> Owners:
    """The layers in an artifact's file; none where it does not run, or a layer has no truth."""
    try:
        return held_in(case).owners
    except NoTruth:
        return Owners(case.workspace.spec, case.exposed.network, {})


class Seen:
    """A file, its layers, and what they give on a few images."""

    def __init__(self, workspace: Workspace, taps: Taps, failure: RunFailed | None = None) -> None:
        """Give every tensor to its layer.

        Args:
            workspace: the model and its images.
            taps: the file with its layers in view.
            failure: why it does not run, so that none is found; None where it does.
        """
        self.spec, self.taps, self.failure = workspace.spec, taps, failure
        self.inputs = workspace.layers.first(IMAGES)
        self.network = taps.exposed.network
        self.owners = Owners(self.spec, self.network, taps.matches)
        self._behaving: dict[str, bool] = {}

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
        return self._integers(self.taps.matches[layer].tensor)

    def _integers(self, tensor: str) -> Computed | None:
        each = self.network.of(tensor)
        while each.steps is None and each.moves and len(each.reads) == 1:
            each = self.network.of(each.reads[0])
        return None if each.steps is None else each

    @cached_property
    def sums(self) -> dict[str, str]:
        """Tensor to the layer whose value it holds as that is before its own activation.

        So does one of a layer that was not found by its values, which its range may cut off, where
        what is computed with it has no weights to fold into it.
        """
        return {tensor: layer for tensor, (layer, whole) in self._inside.items() if whole}

    @cached_property
    def products(self) -> dict[str, str]:
        """Tensor to the layer whose value it holds before the step that adds a bias or shift."""
        return {tensor: layer for tensor, (layer, whole) in self._inside.items() if not whole}

    @cached_property
    def _inside(self) -> dict[str, tuple[str, bool]]:
        """Tensors inside layers with weights, and whether they have what the layer adds."""
        found: dict[str, tuple[str, bool]] = {}
        for layer in self.spec.layers:
            match = self.taps.matches[layer.name]
            end = self.taps.matches[match.group[-1]]
            later = match.group[match.group.index(layer.name) + 1 :]
            alone = not any(self.spec.layer(name).weights for name in later)
            if layer.weights and end.tensor and end.shape == match.shape and alone:
                activated = layer.activation != "linear" or bool(later)
                found |= self._of_layer(layer, end, activated)
        return found

    def _of_layer(self, layer: Layer, match: Match, activated: bool) -> dict[str, tuple[str, bool]]:
        """The tensors of one layer that are closest to its sum and to its product."""
        parts = self.owners.parts.get(self.owners.of(match.tensor), ())
        if not activated and not any(kernel_of(each) for each in parts[:-1]):
            return {}
        names = [each.name for each in parts if each.name != self.network.root(match.tensor)]
        if not names:
            return {}
        plain = replace(layer, config={**layer.config, "activation": "linear"})
        others = tuple(plain if each is layer else each for each in self.spec.layers)
        spec = replace(self.spec, layers=others)
        wanted = self._sum_and_product(spec, match.group, layer.name)
        best: dict[bool, tuple[float, str]] = {}
        for name, value in self.taps.exposed.run(self.inputs, names).items():
            read = match.read(value)
            if read.shape != wanted[0].shape or np.ptp(read) == 0:
                continue
            away = [apart(self._rounded(name, each), read) for each in wanted]
            is_whole = away[0] <= away[1]
            if min(away) <= RECOGNISED and (activated or not is_whole):
                best[is_whole] = min(best.get(is_whole, (np.inf, "")), (min(away), name))
        return {name: (layer.name, is_whole) for is_whole, (_, name) in best.items()}

    def holds(self, layer: str) -> bool:
        """Whether the tensor that was found for a layer has what the layer adds.

        Where a bias is a step of its own, and the activation behind it is part of that step, no
        tensor holds the sum. The one before it is the nearest to it then.
        """
        value, match = self.values.get(layer), self.taps.matches[layer]
        read_by = self._reading(self.network.root(match.tensor)) if match.tensor else ()
        added = any("add" in each.kind and each.constants for each in read_by)
        if value is None or not added or not self.spec.layer(layer).weights:
            return True
        # What is added is the same for every image: in the mean eight bits hide less of it.
        ends = tuple(range(value.ndim - 1))
        wanted = self._sum_and_product(self.spec, match.group, layer)
        away = [(self._rounded(match.tensor, each) - value).mean(axis=ends) for each in wanted]
        return bool(np.abs(away[0]).mean() <= np.abs(away[1]).mean())

    def _reading(self, tensor: str) -> Iterator[Computed]:
        """What computes with a tensor, however its elements are moved before."""
        for each in self.network.readers[tensor]:
            if each.moves:
                yield from self._reading(each.name)
            else:
                yield each

    def _sum_and_product(
        self, spec: Spec, group: Sequence[str], layer: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """What a layer gives for its inputs in the file, and that without what it gives for 0.

        For 0 before whatever may be folded into its kernel from before it, and no further back.
        """
        whole = own_truth(spec, group, self.values, layer, self.inputs)
        chain, before = [layer], spec.layer(layer).inputs
        while len(before) == 1 and before[0] in group and _is_folded(spec.layer(before[0])):
            chain, before = [before[0], *chain], spec.layer(before[0]).inputs
        nothing = {n: np.zeros((1, *match.shape)) for n, match in self.taps.matches.items()}
        inputs = {name: np.zeros_like(each[:1]) for name, each in self.inputs.items()}
        return whole, whole - own_truth(spec, chain, nothing, layer, inputs)

    def _rounded(self, tensor: str, value: np.ndarray) -> np.ndarray:
        """Values in a tensor's integers: images may exceed the range of those of calibration."""
        held = self._integers(tensor)
        return value if held is None or held.steps is None else in_steps(value, held.steps)

    @cached_property
    def kernels(self) -> Kernels:
        """The kernels that the file holds."""
        return Kernels(self.owners)

    @cached_property
    def by_kernels(self) -> dict[str, str]:
        """Layer that was not found by its values to the tensor that the next one's kernel reads.

        Of what has means of next to 0, eight bits leave too little to tell it by.
        """
        root, matches = self.network.root, self.taps.matches
        taken = {root(each.tensor) for each in matches.values() if each.tensor}
        found: dict[str, str] = {}
        for layer in self.spec.layers:
            held = self.kernels.found(layer)[0] if kernels(layer) else None
            if held is None or not held.is_located or not held.wanted.before.is_plain:
                continue
            (tensor, *_), name = held.step.reads, layer.inputs[0]
            while moves(self.spec.layer(name)) and not matches[name].tensor:
                name = self.spec.layer(name).inputs[0]
            if not matches[name].tensor and root(tensor) not in taken:
                found[name] = tensor
        return found

    @cached_property
    def in_float(self) -> frozenset[str]:
        """The layers whose kernels are stored in float; none where all are."""
        layers = [layer for layer in self.spec.layers if kernels(layer)]
        found = {layer.name: self.kernels.found(layer) for layer in layers}
        floats = frozenset(
            name
            for name, each in found.items()
            if all(k is not None and k.is_located and k.constant.steps is None for k in each)
        )
        return floats if len(floats) < len(found) else frozenset()

    def behaves(self, layer: str) -> bool:
        """Whether a layer gives what it should for its inputs in the file, but for rounding."""
        match = self.taps.matches.get(layer)
        if match is None:
            return False
        end = match.group[-1]
        if end not in self._behaving:
            self._behaving[end] = self._behaves(end, match.group)
        return self._behaving[end]

    def _behaves(self, end: str, group: tuple[str, ...]) -> bool:
        found = self.values.get(end)
        if found is None or not np.isfinite(found).all():
            return False
        own, held = own_truth(self.spec, group, self.values, end, self.inputs), self.integers(end)
        if sqnr(own, found) < limits.BEHAVES.value:
            return False
        away = (found - own).mean(axis=tuple(range(found.ndim - 1)))
        return (
            held is None
            or held.steps is None
            or bool((np.abs(away) <= CONSTANT * float(held.steps.scale)).all())
        )


def _is_folded(layer: Layer) -> bool:
    return is_affine(layer) or moves(layer)
