"""Which layer of a spec computes a tensor of a file, and with which kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from conversion.core.spec import Spec
from conversion.proof.taps.kernels import kernels
from conversion.proof.taps.matches import Match, sources
from conversion.proof.taps.moving import moves
from conversion.proof.taps.network import Computed, Constant, Network

MULTIPLYING = ("conv", "gemm", "matmul", "fully_connected")
"""What is part of the name of every operator that may multiply by a kernel, but for PyTorch's
``linear``, which is part of ``bilinear`` too."""

ARITHMETIC = ("mul", "add", "sub", "div")
"""Operators that may have a ReLU as their end, in LiteRT."""

KERNELS = ("w", "b", "1")
"""What formats call the operand that is one."""


def multiplies(computed: Computed) -> bool:
    """Whether a tensor is a product, by a kernel or of two others."""
    kind = computed.kind
    return kind.startswith("linear") or any(part in kind for part in MULTIPLYING)


def kernel_of(computed: Computed) -> Constant | None:
    """The kernel that a tensor is computed with; None where it is not computed with one."""
    if not multiplies(computed):
        return None
    return next((each for each in computed.constants if each.role in KERNELS), None)


class Owners:
    """The layers of a spec, and the tensors of a file that each of them computes.

    Attributes:
        parts: the layer at which a group is seen, to what computes it and does not only move.
    """

    def __init__(self, spec: Spec, network: Network, matches: Mapping[str, Match]) -> None:
        """Give every tensor between a layer and those that it reads to that layer.

        Args:
            spec: the model.
            network: a file's.
            matches: where its layers are.
        """
        self.spec, self.network, self.matches = spec, network, matches
        self.parts: dict[str, list[Computed]] = {}
        self._end: dict[str, str] = {}
        self._layer: dict[str, str] = {}
        self._outputs = {network.root(each.tensor) for each in matches.values() if each.tensor}
        for layer in spec.layers:
            if (match := matches.get(layer.name)) is not None and match.tensor:
                self._take(match)

    def of(self, tensor: str) -> str:
        """The layer that computes a tensor, the last one of its group; empty where none does."""
        return self._end.get(self.network.root(tensor), "")

    def layer(self, tensor: str) -> str:
        """The one of the group whose step it is: where it has a kernel, the one with that."""
        root = self.network.root(tensor)
        return self._layer.get(root, self._end.get(root, ""))

    def group(self, tensor: str) -> tuple[str, ...]:
        """The layers that are computed together with the one that computes a tensor."""
        end = self.of(tensor)
        return self.matches[end].group if end else ()

    def around(self, tensor: str) -> set[str]:
        """The layers that may compute a tensor: its group, ahead of its kernel what that reads too.

        Where rounding is coarse a layer is taken to end a few steps too early; and what computes a
        ReLU without being one computes what the ReLU reads, too: a normalization without a scale
        ends where its last step begins, which multiplies by 1 and cuts off.
        """
        group = self.group(tensor)
        end = self.of(tensor)
        if end and self.spec.layer(end).kind == "ReLU" and self._cuts_off(end):
            return {*group, *self.spec.layer(end).inputs}
        holding = [each.name for each in self.parts.get(end, ()) if kernel_of(each) is not None]
        if not holding or any(self.network.descends(tensor, each) for each in holding):
            return set(group)
        return {*group, *(name for each in group for name in self.spec.layer(each).inputs)}

    def _cuts_off(self, end: str) -> bool:
        """Whether a ReLU is part of the one operator that computes it and does something else."""
        kinds = [each.kind for each in self.parts.get(end, ())]
        return len(kinds) == 1 and kinds[0] in ARITHMETIC

    def is_output(self, tensor: str) -> bool:
        """Whether a tensor is a layer's output, not something inside a layer."""
        return self.network.root(tensor) in self._outputs

    def steps(self) -> dict[str, list[str]]:
        """Layer to the tensors that it computes and does not only move.

        Of layers that are computed together a layer without a kernel has what multiplies by none:
        an activation that became part of a normalization's last step, or a factor of its own that
        an activation before it took over, does not take the normalization's steps away.
        """
        found: dict[str, list[str]] = {layer.name: [] for layer in self.spec.layers}
        for tensor in self._end:
            if self.network.of(tensor).reads:
                found[self.layer(tensor)].append(tensor)
        shared: dict[str, list[str]] = {}
        for name in (name for name, tensors in found.items() if not tensors):
            group = self.matches[name].group if name in self.matches else ()
            together = (tensor for each in group for tensor in found[each])
            shared[name] = [t for t in together if kernel_of(self.network.of(t)) is None]
        return {**found, **shared}

    def _take(self, match: Match) -> None:
        read = sources(self.spec, self.matches, match.group)
        between = self.network.between({*read, *self._end}, match.tensor)
        own = [each for each in between if not each.moves]
        root = self.network.root(match.tensor)
        if not own and not moves(self.spec.layer(match.layer)):  # a clamp that rounding makes
            own = self.parts.pop(self._end.get(root, ""), [])
        self.parts[match.layer] = own
        self._end |= {each.name: match.layer for each in own}
        self._end.setdefault(root, match.layer)
        holding = [each.name for each in own if each.name not in self._layer and kernel_of(each)]
        named = list(self._with_kernels(match))
        if len(holding) == len(named):
            self._layer |= dict(zip(holding, named, strict=True))
        if named and holding:  # a bias that is added in a step of its own is the kernel's layer's
            for each in own:
                self._layer.setdefault(each.name, named[0])

    def _with_kernels(self, match: Match) -> Iterator[str]:
        """The layers of a group that multiply by a kernel, one as often as it does."""
        for name in match.group:
            yield from [name] * len(kernels(self.spec.layer(name)))
