"""Which operators TensorFlow's converter leaves in float: those of chosen layers, and activations.

It is told so by the names of tensors, which it makes up as it converts: so the file is made up to
its ranges, the layers are found in it, and the very same file is quantized afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from conversion.backends.backend import Ingredients
from conversion.backends.in_child import Opened
from conversion.backends.litert_file import load
from conversion.core.artifact import Artifact
from conversion.core.errors import NoTruth, UserError
from conversion.proof.taps.litert_tensors import name_of
from conversion.proof.taps.network import Network
from conversion.proof.taps.opened import PROBES, align, open_litert
from conversion.proof.taps.owners import Owners, kernel_of
from conversion.quantization.calibration import batches
from conversion.quantization.coverage import LITERT_SPANNING


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Save the calibrated file that is not quantized yet; an empty one where nothing is in float.

    Returns:
        The provenance, with the names of the tensors that the chosen layers compute, by layer, of
        those that activations compute which eight bits cannot hold, and of those between them.

    Raises:
        UserError: the converter gave one of them a name that another tensor has too.
    """
    spec, chosen = ingredients.spec, ingredients.settings.litert.float_layers
    spanning = [each.name for each in spec.layers if each.activation in LITERT_SPANNING]
    route = {"source": spec.digest, "route": "aligned by values"}
    if not chosen and not spanning:
        target.write_bytes(b"")
        return {**route, "nodes": {}, "activations": {}, "between": [], "warnings": []}
    images = ingredients.artifacts["calibration"].path
    content, warnings = ingredients.keras.to_litert(images, quantized=False)
    target.write_bytes(content)
    model = load(target)
    probes = dict.fromkeys(spec.inputs, next(batches(images))[:PROBES])
    artifact = Artifact("litert-fp32", target, "", {})
    opened = Opened(artifact, spec, 1, {name: array[:1] for name, array in probes.items()})
    file = replace(open_litert(artifact, spec, 1, probes), look=opened.look, run=opened.taps)
    try:
        matches = align(spec, file, probes).matches
    except NoTruth:  # of a layer of the user's own nobody knows where it is
        matches = {}
    owners = Owners(spec, file.network, matches)
    names = {t.name: name_of(model, t.name) for t in file.network.tensors if t.reads}
    computing = owners.steps()
    count = Counter(names.values())
    for name in chosen:
        if any(count[names[each]] > 1 for each in computing[name]):
            raise UserError(
                f"TensorFlow's converter gave the tensor of '{name}' the name of another one, so "
                "LiteRT's int8 cannot leave that layer alone in float: leave it out of "
                "--float-layers, or make --backends onnx-int8,torch-int8."
            )
    parts = {name: computing[name] for name in chosen if computing[name]}
    activations = {
        name: [each for each in computing[name] if kernel_of(file.network.of(each)) is None]
        for name in spanning
        if name not in parts and all(count[names[each]] == 1 for each in computing[name])
    }
    left = {each for found in (*parts.values(), *activations.values()) for each in found}
    between = [names[each] for each in _between(file.network, left)]
    nodes, activated = (
        {name: [names[each] for each in steps] for name, steps in found.items() if steps}
        for found in (parts, activations)
    )
    return {
        **route,
        "nodes": nodes,
        "activations": activated,
        "between": between,
        "warnings": warnings,
    }


def _between(network: Network, left: Collection[str]) -> list[str]:
    """What only moves elements from one operator in float to others, and needs no cast."""

    def in_float(tensor: str) -> bool:
        behind = network.readers[tensor]
        return all(o.name in left or (o.moves and in_float(o.name)) for o in behind)

    found: list[str] = []
    for each in network.tensors:
        from_float = each.moves and each.reads[:1] and each.reads[0] in {*left, *found}
        if from_float and network.readers[each.name] and in_float(each.name):
            found.append(each.name)
    return found
