"""Fault operators by name: what each does to which kind of artifact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from conversion.core.errors import UserError
from conversion.core.spec import Spec
from conversion.proof.faults import (
    calibration_operators,
    integer_operators,
    litert_operators,
    measuring,
    onnx_int8_operators,
    onnx_operators,
    onnx_port_operators,
    other_files,
)
from conversion.proof.faults.fault import Asked, Inject
from conversion.proof.faults.injection import (
    in_litert,
    in_onnx,
    in_spec,
    in_state,
    in_weights_of_litert,
    in_weights_of_onnx,
)
from conversion.proof.faults.other_files import with_scheme
from conversion.proof.faults.torch_int8_state import IntegerState
from conversion.proof.standard import spec_operators
from conversion.workspace import Workspace

QDQ = "qdq:"
"""How the names of faults begin that need a file in QDQ format."""

WHOLE = {
    **calibration_operators.OPERATORS,
    **measuring.OPERATORS,
    **other_files.OPERATORS,
}
"""Faults that are not of one layer's nodes, by names with a colon."""

ANY_LAYER = "@"
"""How a word for layers begins that names a kind, such as ``@Conv2D``; alone, all with weights."""


def injection(operator: str, artifact: str, layers: Sequence[str], value: Any) -> Inject:
    """What puts a fault into an artifact.

    Args:
        operator: its name.
        artifact: the artifact's name.
        layers: names of layers, or a word that begins with `ANY_LAYER`.
        value: a size, or whatever else the operator takes.

    Raises:
        UserError: the artifact has no such operator.
    """
    if operator in WHOLE:
        asked = Asked(artifact, layers, value)
        return lambda workspace, folder: WHOLE[operator](workspace, folder, asked)
    for known, make in _ways(artifact):
        if operator in known:
            return make(known[operator], layers, value)
    raise UserError(f"Expected a fault of {artifact}; '{operator}' is none.")


def known(artifact: str) -> set[str]:
    """The operators that an artifact has, but for those that are not of layers."""
    return {name for names, _ in _ways(artifact) for name in names}


Way = tuple[Mapping[str, Any], Callable[[Any, Sequence[str], Any], Inject]]


def _ways(artifact: str) -> list[Way]:
    """Tables of operators, first choice first, and what injects one of them."""

    def graph(change: Any, layers: Sequence[str], value: Any) -> Inject:
        return in_onnx(lambda found: change(found, named(found.spec, layers), value), artifact)

    def qdq(change: Any, layers: Sequence[str], value: Any) -> Inject:
        inject = graph(change, layers, value)

        def injected(workspace: Workspace, folder: Path) -> Workspace:
            return inject(with_scheme(workspace, format="qdq"), folder)

        return injected

    def state(change: Any, layers: Sequence[str], value: Any) -> Inject:
        def inject(workspace: Workspace, folder: Path) -> Workspace:
            spec = workspace.spec

            def edit(entries: dict[str, Any]) -> None:
                change(IntegerState(entries, spec), named(spec, layers), value)

            return in_state(edit, artifact)(workspace, folder)

        return inject

    def file(change: Any, layers: Sequence[str], value: Any) -> Inject:
        return in_litert(
            lambda found: change(found, named(found.spec, layers), value), artifact, artifact
        )

    def misread(into: Callable[..., Inject], *more: str) -> Callable[..., Inject]:
        def made(change: Any, layers: Sequence[str], value: Any) -> Inject:
            def changed(spec: Spec) -> Spec:
                wrong: Spec = change(spec, named(spec, layers), value)
                return wrong

            return into(changed, *more)

        return made

    of_weights = spec_operators.WEIGHTS
    integer, int8 = integer_operators.OPERATORS, onnx_int8_operators.OPERATORS
    of_qdq = {name: change for name, change in int8.items() if name.startswith(QDQ)}
    of_graph: Way = {**onnx_operators.OPERATORS, **onnx_port_operators.OPERATORS}, graph
    found: dict[str, list[Way]] = {
        "onnx-fp32": [of_graph, (of_weights, misread(in_weights_of_onnx, artifact))],
        "torch-via-onnx-fp32": [of_graph, (of_weights, misread(in_weights_of_onnx, artifact))],
        "torch-fp32": [({**of_weights, **spec_operators.LAYERS}, misread(in_spec))],
        "litert-fp32": [
            (litert_operators.OPERATORS, file),
            (of_weights, misread(in_weights_of_litert, artifact)),
        ],
        "onnx-int8": [(of_qdq, qdq), (int8, graph), (integer, graph)],
        "torch-int8": [(integer, state)],
        "litert-int8": [(integer, file)],
    }
    return found.get(artifact, [])


def named(spec: Spec, layers: Sequence[str]) -> list[str]:
    """The layers that words stand for: their own names, or ``@`` and a class for all of that one.

    Args:
        spec: the model.
        layers: words; ``@`` alone is every layer with weights.
    """
    found: list[str] = []
    for word in layers:
        kind = word.removeprefix(ANY_LAYER)
        if kind == word:
            found.append(word)
        else:
            fits = (
                each for each in spec.layers if each.kind == kind or (not kind and each.weights)
            )
            found += [each.name for each in fits]
    return found
