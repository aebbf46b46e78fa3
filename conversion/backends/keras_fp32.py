"""The reference as a backend: the source file itself, run by TensorFlow in its own process."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conversion.backends.backend import Ingredients
from conversion.core import digest
from conversion.core.artifact import Artifact, Runner
from conversion.reference import KerasModel
from conversion.reference.packing import pack
from conversion.reference.repairs import repairs


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Copy the source file: Keras runs it as it is. A description and its weights become one."""
    source, beside = ingredients.keras.path, ingredients.spec.weights_file
    route = "the source file itself"
    if beside:
        with tempfile.TemporaryDirectory() as folder:
            one = pack(source.read_text(), source.with_name(beside), Path(folder))
            shutil.copyfile(one, target)
        route = "the source's description and weights in one file"
    else:
        shutil.copyfile(source, target)
    if ingredients.spec.custom.replaced:
        route += ", layers put in place of others whenever it is opened"
    made = repairs(source, ingredients.spec.keras_version)
    route += ", its description repaired" if made else ""
    return {"route": route, "source": ingredients.spec.digest, "repairs": made}


def open(artifact: Artifact, ingredients: Ingredients, threads: int) -> Runner:
    """Open the Keras model; TensorFlow chooses its own threads."""
    keras = ingredients.keras
    own = digest.of_file(artifact.path) if keras.spec.weights_file else ""
    return _KerasRunner(keras.reference.model(artifact.path, keras.spec, own))


@dataclass(frozen=True)
class _KerasRunner:
    model: KerasModel

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self.model.outputs(inputs)
