"""Integer kernels: the steps of an int8 artifact as it is run, and which multiply integers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from conversion.backends import Capability
from conversion.core.measurement import Measurement, advised
from conversion.core.spec import KERNELS, Spec
from conversion.proof.checks.case import Case
from conversion.proof.metrics import kernels, limits
from conversion.proof.metrics.kernels import Step
from conversion.proof.metrics.quantities import INTEGER_SHARE
from conversion.readers.cost import multiply_accumulates

RUNS = 50
"""Runs of one image that the times are of."""

IN_FLOAT = "a matter of speed, not of what an external file gives"
"""What is said of one that is computed in float for the most part."""

MULTIPLIES_NOTHING = "no layer of this model multiplies by a kernel: integers could save it nothing"


def integer_kernels(case: Case) -> list[Measurement]:
    """What a file stores in int8 it multiplies in int8, but for what its scheme leaves in float."""
    limit = limits.INTEGER_EXTERNAL if case.artifact.external else limits.INTEGER
    costs = multiply_accumulates(case.workspace.spec)
    if not costs:
        return case.skip(INTEGER_SHARE, MULTIPLIES_NOTHING)
    share = 100 * sum(costs.get(name, 0) for name in case.in_float) / sum(costs.values())
    steps = case.backend.capability(Capability.INTEGER_KERNELS)(case)
    found = kernels.integer_share(case.about, steps, limit, RUNS, case.in_float, share)
    if not case.artifact.external:
        return found
    return [advised(each, IN_FLOAT) if each.value else each for each in found]


def onnx_steps(case: Case) -> list[Step]:
    """The nodes of an ONNX file as ONNX Runtime runs them."""
    from conversion.backends import onnx_cost, onnx_file
    from conversion.backends.onnx_deployed import deployed
    from conversion.backends.onnx_nodes import INTEGER
    from conversion.proof.checks.deployed_layers import DeployedLayers
    from conversion.proof.checks.int8.seen import owners_in

    spec, path = case.workspace.spec, case.artifact.path
    file = onnx_file.load(path)
    names = [port.name for port in onnx_file.inputs(file)]
    given = (case.workspace.parity_inputs[name][:1] for name in spec.inputs)
    images = dict(zip(names, given, strict=True))
    found = deployed(path, images, RUNS)
    nodes = found.model.graph.node
    costs = onnx_cost.multiply_accumulates(found.model, images)
    of_layers = multiply_accumulates(spec)  # blocks of channels are filled up with zeros
    results = onnx_cost.run_on_zeros(found.model, [node.output[0] for node in nodes], images)
    layers = DeployedLayers(owners_in(case), file, found.model)
    named = {name: layers.of(node) for node in nodes if (name := node.output[0]) in costs}
    totals: dict[str, int] = {}
    for name, layer in named.items():
        totals[layer] = totals.get(layer, 0) + costs[name]
    nodes_of = Counter(named.values())

    def share(name: str) -> int:
        """What a node costs of its layer: of a separable convolution there are two.

        The calls of a layer that is called twice may be taken for one and the same.
        """
        cost, layer = costs.get(name, 0), named.get(name, "")
        if layer not in of_layers:
            return cost
        parts = sum(role in spec.layer(layer).weights for role in KERNELS)
        if parts < 2:
            return of_layers[layer]
        calls = max(nodes_of[layer] // parts, 1)
        return round(of_layers[layer] * calls * cost / totals[layer])

    return [
        Step(
            name=node.name or node.output[0],
            operator=node.op_type,
            layer=named.get(node.output[0], ""),
            macs=share(node.output[0]),
            integer=node.op_type in INTEGER or results[node.output[0]].dtype.kind in "iu",
            computes=node.op_type not in onnx_cost.MOVING,
            seconds=found.seconds.get(node.name, 0.0),
        )
        for node in nodes
    ]


def torch_steps(case: Case) -> list[Step]:
    """The modules of a PyTorch file as they are run."""
    import torch

    from conversion.quantization.torch_prepared import engine
    from conversion.quantization.torch_static import rebuild_integer

    spec = case.workspace.spec
    module, name = rebuild_integer(case.artifact.path, spec.custom)
    costs = _torch_costs(spec)
    images = [case.workspace.parity_inputs[name][:1] for name in spec.inputs]
    seen: dict[str, _Seen] = {}
    threads = torch.get_num_threads()
    with ExitStack() as after:
        after.enter_context(engine(name))
        after.callback(torch.set_num_threads, threads)
        torch.set_num_threads(1)
        for path, child in module.named_modules():
            for hook in _hooks(seen, path, child):
                after.callback(hook.remove)
        with torch.inference_mode():
            for _ in range(RUNS):
                module(*(torch.from_numpy(image) for image in images))
    inner = {path for path in seen if not any(other.startswith(f"{path}.") for other in seen)}
    return [
        Step(
            name=path,
            operator=found.kind,
            layer=costs.get(path, ("", 0))[0],
            macs=costs.get(path, ("", 0))[1],
            integer=found.integer,
            computes=found.kind not in STILL,
            seconds=median(found.times),
        )
        for path, found in seen.items()
        if path in inner and path
    ]


def _torch_costs(spec: Spec) -> dict[str, tuple[str, int]]:
    """Path of a module, between casts or not, to its layer and its multiply-accumulates."""
    from conversion.backends.torch_module import attribute_name

    found = {}
    for name, cost in multiply_accumulates(spec).items():
        layer, parts = spec.layer(name), {"": cost}
        if layer.kind.startswith("Separable"):  # each value once through its window, then mixed
            taps = layer.weights["depthwise_kernel"][..., 0, 0].size
            depthwise = cost * taps // (taps + layer.weights["pointwise_kernel"].shape[-1])
            parts = {".depthwise": depthwise, ".pointwise": cost - depthwise}
        for part, share in parts.items():
            for between in ("", ".module"):  # in float, a convolution is the first of what is fused
                for first in ("", ".0"):
                    path = f"body.{attribute_name(name)}{between}{part}{first}"
                    found[path] = (name, share)
    return found


@dataclass
class _Seen:
    """One module over all runs."""

    kind: str
    integer: bool = False
    started: float = 0.0
    times: list[float] = field(default_factory=list)


def _hooks(seen: dict[str, _Seen], path: str, module: Any) -> Iterator[Any]:
    def before(*_: Any) -> None:
        found = seen.setdefault(path, _Seen(type(module).__name__))
        found.started = time.perf_counter()

    def behind(module: Any, inputs: Any, result: Any) -> None:
        found = seen[path]
        found.times.append(time.perf_counter() - found.started)
        found.integer = not isinstance(result, tuple) and bool(result.is_quantized)

    yield module.register_forward_pre_hook(before)
    yield module.register_forward_hook(behind)


STILL = (
    *("Quantize", "DeQuantize", "Identity", "Flatten", "Reshape", "Permute", "RepeatVector"),
    *("Crop", "SamePadding", "ZeroPad1d", "ZeroPad2d"),
)
"""Modules that cast or move."""
