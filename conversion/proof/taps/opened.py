"""Artifacts opened with their layers in view: one function a kind of file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from conversion.core.artifact import Artifact
from conversion.core.errors import RunFailed
from conversion.core.spec import Spec
from conversion.proof import truth
from conversion.proof.taps.by_values import ROUNDED, match
from conversion.proof.taps.matches import Match
from conversion.proof.taps.network import Network, Run

if TYPE_CHECKING:
    from onnx import ModelProto

PROBES = 4
"""Images by which layers are told apart."""

MOST_PROBES = 2 * PROBES
"""The same where layers give one and the same for fewer of them."""

MOVED = 0.1
"""Part of its variance by which a tensor may differ in another batch, as steps of int8 do; values
in another order differ by twice the variance."""


@dataclass(frozen=True, eq=False)
class Exposed:
    """A file of which every tensor can be asked for.

    Attributes:
        network: its tensors.
        look: gives them, with no operator changed or fused away.
        run: gives some of them, the rest being as deployed.
        another: in words, how the network that `run` runs differs from the one that is deployed;
            empty where it does not. `{}` stands for the number of tensors.
    """

    network: Network
    look: Run
    run: Run
    another: str = ""


@dataclass(frozen=True, eq=False)
class Tapped:
    """What an artifact gives with its layers in view.

    Attributes:
        layers: layer name to its output as real numbers, ``(N, ...)`` in the source's layout.
        outputs: output name to ``(N, ...)``, for comparing with the artifact as deployed.
    """

    layers: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Taps:
    """An artifact whose layers can be read.

    Attributes:
        spec: the model.
        matches: where every layer is, in the spec's order.
        exposed: the file.
    """

    spec: Spec
    matches: Mapping[str, Match]
    exposed: Exposed

    @property
    def seen(self) -> dict[str, Match]:
        """The layers whose outputs can be read."""
        return {name: each for name, each in self.matches.items() if each.tensor}

    @property
    def another(self) -> str:
        """How the tapped network differs from the deployed one; empty where it does not."""
        return self.exposed.another.format(len({each.tensor for each in self.seen.values()}))

    def layers(self, inputs: Mapping[str, np.ndarray]) -> Tapped:
        """The output of every layer that can be seen.

        Args:
            inputs: input name to ``(N, ...)`` float32.
        """
        seen, ends = self.seen, self.exposed.network.outputs
        names = dict.fromkeys([*(each.tensor for each in seen.values()), *ends])
        values = self.exposed.run(inputs, list(names))
        found = {name: each for name, each in seen.items() if each.tensor in values}
        layers = {name: each.read(values[each.tensor]) for name, each in found.items()}
        outputs = [values.get(name, np.zeros(0, np.float32)) for name in ends]
        return Tapped(layers, dict(zip(self.spec.outputs, outputs, strict=True)))


def align(
    spec: Spec,
    exposed: Exposed,
    inputs: Mapping[str, np.ndarray],
    exact: Mapping[str, np.ndarray] | None = None,
    rounded: float = ROUNDED,
) -> Taps:
    """Find the layers of a spec in a file.

    Args:
        spec: the model.
        exposed: the file.
        inputs: input name to ``(N, ...)`` float32, of which a few are looked at.
        exact: layer name to its output for the inputs, ``(N, ...)``, from the float64 truth;
            computed where it is not given.
        rounded: the error that rounding explains, as a part of a layer's spread.
    """
    probes = probes_of(inputs)
    known = _in_float32(spec, probes) if exact is None else probes_of(exact)
    values = one_by_one(exposed.look, [each.name for each in exposed.network.tensors], probes)
    return Taps(spec, match(spec, known, exposed.network, values, rounded), exposed)


def probes_of(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The images by which layers are told apart, the same places of every array ``(N, ...)``."""
    count = len(next(iter(arrays.values())))
    most = count if count <= MOST_PROBES else PROBES
    chosen = np.unique(np.linspace(0, count - 1, most).astype(int))
    return {name: array[chosen] for name, array in arrays.items()}


def _in_float32(spec: Spec, probes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every layer's output, computed in float64 and kept in float32: a large network has many."""
    names = {layer.name for layer in spec.layers}
    return {
        layer.name: np.concatenate(value).astype(np.float32)
        for layer, _, value in truth.walk(spec, probes, names)
    }


def one_by_one(
    look: Run, names: list[str], inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Tensors of a file, image by image, so that each is seen to belong to one.

    Args:
        look: gives them.
        names: those that are wanted.
        inputs: input name to ``(N, ...)`` float32.

    Returns:
        Tensor to ``(N, ...)``, without those that are not of one shape for all images, or that do
        not hold one image after the other.
    """
    count = len(next(iter(inputs.values())))
    parts = [look({n: a[i : i + 1] for n, a in inputs.items()}, names) for i in range(count)]
    found, odd = {}, []
    for name in names:
        each = [part.pop(name) for part in parts if name in part]
        whole = [value if value.shape[0] == 1 else value[None] for value in each]
        if len({value.shape for value in whole}) == 1:
            found[name] = np.concatenate(whole)
            odd += [name] if each[0].shape[0] != 1 else []
    if odd and count > 1:
        try:
            together = look({name: array[:2] for name, array in inputs.items()}, odd)
        except RunFailed:  # a file for one image at a time
            return found
        for name in odd:
            if name in found and not _in_order(together.get(name), found[name][:2]):
                del found[name]
    return found


def _in_order(together: np.ndarray | None, apart: np.ndarray) -> bool:
    """Whether a tensor of two images holds one behind the other.

    A dilated convolution of open size lays the images of a batch between its channels and its rows.

    Args:
        together: the tensor of both.
        apart: those of each, ``(2, ...)``.
    """
    if together is None or together.size != apart.size:
        return False
    one, other = together.astype(np.float64).reshape(-1), apart.astype(np.float64).reshape(-1)
    return float(np.square(one - other).mean()) <= MOVED * float(other.var())


def open_onnx(artifact: Artifact, spec: Spec, threads: int, probe: Mapping[str, Any]) -> Exposed:
    """An ONNX file with its tensors among its outputs, at full optimisation."""
    from conversion.backends.onnx_file import is_guarded, load

    guarded = is_guarded(artifact)
    return expose_onnx(load(artifact.path), artifact.path.name, spec, threads, guarded)


def expose_onnx(
    model: ModelProto, name: str, spec: Spec, threads: int, guarded: bool = False
) -> Exposed:
    """An ONNX graph with its tensors among its outputs, at full optimisation.

    Args:
        model: the graph.
        name: what messages call it.
        spec: the model, whose inputs are the graph's in their order.
        threads: threads of an operator.
        guarded: whether sums of uint8 x int8 products must not saturate.
    """
    from conversion.proof.taps.onnx_tensors import network_of, runner

    network = network_of(model)
    another = "{} tensors are outputs of the tapped graph, which ONNX Runtime then fuses less than "
    return Exposed(
        network,
        runner(model, network, spec, name, threads, False, guarded),
        runner(model, network, spec, name, threads, True, guarded),
        another + "the deployed one",
    )


def open_torch(artifact: Artifact, spec: Spec, threads: int, probe: Mapping[str, Any]) -> Exposed:
    """A `torch-fp32` file: the very module that is deployed."""
    from conversion.backends.torch_fp32 import rebuild

    return open_module(rebuild(artifact.path, spec.custom), spec, threads, probe)


def open_torch_via_onnx(
    artifact: Artifact, spec: Spec, threads: int, probe: Mapping[str, Any]
) -> Exposed:
    """A `torch-via-onnx-fp32` file: the very module that is deployed."""
    from conversion.backends.torch_via_onnx import graph_in, rebuild

    return open_module(rebuild(graph_in(artifact.path)), spec, threads, probe)


def open_torch_int8(
    artifact: Artifact, spec: Spec, threads: int, probe: Mapping[str, Any]
) -> Exposed:
    """A `torch-int8` file: the very module that is deployed."""
    from conversion.quantization.torch_prepared import engine
    from conversion.quantization.torch_static import rebuild_integer

    module, name = rebuild_integer(artifact.path, spec.custom)

    def call(*inputs: Any) -> Any:
        with engine(name):
            return module(*inputs)

    return open_module(call, spec, threads, probe)


def open_litert(artifact: Artifact, spec: Spec, threads: int, probe: Mapping[str, Any]) -> Exposed:
    """A LiteRT file that keeps every tensor, under its default delegate."""
    from conversion.backends.litert_file import load
    from conversion.proof.taps.litert_tensors import network_of, runner

    network = network_of(load(artifact.path), spec)
    run = runner(artifact.path, network, spec, threads)
    another = "every tensor is kept, so that LiteRT gives its delegate one operation at a time"
    return Exposed(network, run, run, another)


def open_module(
    call: Callable[..., Any], spec: Spec, threads: int, probe: Mapping[str, np.ndarray]
) -> Exposed:
    """Any PyTorch module, or a function that runs one.

    Args:
        call: takes a tensor an input, in the model's order.
        spec: the model.
        threads: threads of an operator.
        probe: input name to ``(1, ...)`` float32, on which the module's operators are listed.
    """
    from conversion.proof.taps.torch_tensors import network_of, runner

    run = runner(call, spec, threads)
    return Exposed(network_of(call, probe, spec), run, run)
