"""Artifacts opened with their layers in view: one function a kind of file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.backends import Capability, backend
from conversion.core.artifact import Artifact
from conversion.core.spec import Spec
from conversion.proof.taps.alignment import Alignment, align
from conversion.proof.taps.graph import Graph
from conversion.proof.taps.layouts import fits, in_layout

Run = Callable[[Mapping[str, np.ndarray]], tuple[Mapping[str, Any], list[np.ndarray]]]
"""Inputs to every wanted tensor by name, and the network's outputs in order."""


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
        alignment: which tensor is which layer's output.
        graph: the artifact's network.
        run: runs it.
        another: in words, how the network that is tapped differs from the one that is deployed;
            empty where it does not.
    """

    spec: Spec
    alignment: Alignment
    graph: Graph
    run: Run
    another: str

    def layers(self, inputs: Mapping[str, np.ndarray]) -> Tapped:
        """The output of every layer that can be seen.

        Args:
            inputs: input name to ``(N, ...)`` float32.
        """
        values, results = self.run(inputs)
        places = self.alignment.seen()
        seen = {name: self._chosen(name, each.tensors, values) for name, each in places.items()}
        for name, place in places.items():
            # What repeats values does it along an axis of its own, which a reshape that follows
            # may never bring to the layer's shape.
            repeats = bool(place.operations) and place.operations[-1].kind == "tile"
            if repeats and not fits(seen[name], self.spec.layer(name).shape):
                del seen[name]
        return Tapped(seen, dict(zip(self.spec.outputs, results, strict=True)))

    def _chosen(self, layer: str, tensors: Sequence[str], values: Mapping[str, Any]) -> np.ndarray:
        """The first tensor of the layer's shape, else the one that the layer itself gives."""
        found = [self.graph.tensors[name] for name in tensors]
        return in_layout(self.spec.layer(layer), found, [values[name] for name in tensors])


def wanted(alignment: Alignment) -> list[str]:
    """Every tensor that may hold a layer's output."""
    places = alignment.seen().values()
    return list(dict.fromkeys(name for place in places for name in place.tensors))


def open_onnx(artifact: Artifact, spec: Spec, threads: int) -> Taps:
    """An ONNX file with its tensors among its outputs, at full optimisation."""
    from conversion.backends.onnx_file import (
        load,
        open_session,
        run_session,
        with_outputs,
    )
    from conversion.proof.taps.onnx_operations import graph_of

    model = load(artifact.path)
    graph = graph_of(model)
    alignment = align(spec, graph)
    names = wanted(alignment)
    known = {value.name for value in (*model.graph.output, *model.graph.input)}
    tapped = [name for name in names if name not in known]
    session = open_session(with_outputs(model, tapped), artifact.path.name, threads)

    def run(inputs: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], list[np.ndarray]]:
        feed = dict(zip(graph.inputs, (inputs[name] for name in spec.inputs), strict=True))
        found = run_session(session, [*graph.outputs, *tapped], feed)
        values = {**feed, **dict(zip([*graph.outputs, *tapped], found, strict=True))}
        return values, found[: len(graph.outputs)]

    another = f"{len(tapped)} tensors are outputs of the tapped graph, which ONNX Runtime then "
    return Taps(spec, alignment, graph, run, another + "fuses less than the deployed one")


def open_torch(artifact: Artifact, spec: Spec, threads: int) -> Taps:
    """A `torch-fp32` file: the very module that is deployed."""
    from conversion.backends.torch_fp32 import rebuild
    from conversion.proof.taps.torch_operations import graph_of

    body = rebuild(artifact.path, spec.custom)
    graph = graph_of(body)
    return Taps(spec, align(spec, graph), graph, _torch_run(body, body.values, spec, threads), "")


def open_torch_int8(artifact: Artifact, spec: Spec, threads: int) -> Taps:
    """A `torch-int8` file: the very module that is deployed."""
    from conversion.proof.taps.torch_operations import graph_of
    from conversion.quantization.torch_prepared import engine
    from conversion.quantization.torch_static import rebuild_integer

    module, name = rebuild_integer(artifact.path, spec.custom)
    graph = graph_of(module.body)

    def values(*inputs: Any) -> dict[str, Any]:
        cast = [stub(value) for stub, value in zip(module.enter, inputs, strict=True)]
        found: dict[str, Any] = module.body.values(*cast)
        return found

    run = _torch_run(module.body, values, spec, threads)

    def under_engine(inputs: Mapping[str, np.ndarray]) -> Any:
        with engine(name):
            return run(inputs)

    return Taps(spec, align(spec, graph), graph, under_engine, "")


def open_torch_via_onnx(artifact: Artifact, spec: Spec, threads: int) -> Taps:
    """A `torch-via-onnx-fp32` file, aligned by the graph that it was made from."""
    import torch
    from onnx import load_from_string
    from onnx2torch.onnx_graph import OnnxGraph
    from torch import fx

    from conversion.backends import torch_via_onnx
    from conversion.proof.taps.onnx_operations import graph_of

    content = torch_via_onnx.graph_in(artifact.path)
    model, module = load_from_string(content), torch_via_onnx.rebuild(content)
    graph = graph_of(model)
    alignment = align(spec, graph)
    named = {name: node.output_values for name, node in OnnxGraph(model.graph).nodes.items()}

    def run(inputs: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], list[np.ndarray]]:
        feed = [torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in spec.inputs]
        found: dict[str, Any] = dict(zip(graph.inputs, feed, strict=True))

        class Kept(fx.Interpreter):
            def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
                result = super().call_module(target, args, kwargs)
                outputs = named.get(str(target), ())
                if len(outputs) == 1:
                    found[outputs[0]] = result
                return result

        torch.set_num_threads(threads)
        with torch.inference_mode():
            results = Kept(module).run(*feed)
        listed = [results] if isinstance(results, torch.Tensor) else list(results)
        values = {name: tensor.numpy() for name, tensor in found.items()}
        return values, [result.numpy() for result in listed]

    return Taps(spec, alignment, graph, run, "")


def open_litert(artifact: Artifact, spec: Spec, threads: int) -> Taps:
    """A LiteRT file that keeps every tensor, under its default delegate."""
    from conversion.backends.litert_file import load
    from conversion.backends.litert_runner import (
        open_interpreter,
        quantized,
        resize,
        steps,
    )
    from conversion.proof.taps.litert_operations import graph_of

    graph = graph_of(load(artifact.path), spec)
    alignment = align(spec, graph)
    names = [*wanted(alignment), *graph.outputs]
    interpreter = open_interpreter(artifact.path, threads, keep=True)
    details = {str(each["index"]): each for each in interpreter.get_tensor_details()}

    def run(inputs: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], list[np.ndarray]]:
        feed = [inputs[name] for name in spec.inputs]
        resize(interpreter, [int(name) for name in graph.inputs], len(feed[0]))
        for name, value in zip(graph.inputs, feed, strict=True):
            whole, dtype = steps(details[name]), details[name]["dtype"]
            taken = value if whole is None else quantized(value, whole, np.empty_like(value))
            interpreter.set_tensor(int(name), taken.astype(dtype))
        interpreter.invoke()
        values = {name: interpreter.get_tensor(int(name)) for name in dict.fromkeys(names)}
        return values, [graph.tensors[name].in_source(values[name]) for name in graph.outputs]

    another = "every tensor is kept, so that LiteRT gives its delegate one operation at a time"
    return Taps(spec, alignment, graph, run, another)


def _torch_run(
    body: Any, values: Callable[..., Mapping[str, Any]], spec: Spec, threads: int
) -> Run:
    import torch

    def plain(tensor: Any) -> np.ndarray:
        real = tensor.dequantize() if tensor.is_quantized else tensor
        return np.asarray(real.numpy())

    def run(inputs: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], list[np.ndarray]]:
        torch.set_num_threads(threads)
        feed = [torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in spec.inputs]
        with torch.inference_mode():
            found = {name: plain(tensor) for name, tensor in values(*feed).items()}
        return found, [found[name] for name in body.returns]

    return run


def open_taps(name: str, artifact: Artifact, spec: Spec, threads: int) -> Taps:
    """An artifact with its layers in view.

    Args:
        name: its backend.
        artifact: the file.
        spec: the model that it should be.
        threads: threads of an operator.

    Raises:
        UserError: the file cannot be opened.
        KeyError: the backend does not show them.
    """
    opened: Taps = backend(name).capability(Capability.TAPS)(artifact, spec, threads)
    return opened
