"""The reference as a backend: the source file itself, run by TensorFlow in its own process."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conversion.artifact import Artifact, Runner
from conversion.backends import Ingredients
from conversion.reference import KerasModel
from conversion.reference.repairs import repairs


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Copy the source file: Keras runs it as it is."""
    shutil.copyfile(ingredients.keras.path, target)
    made = repairs(ingredients.keras.path)
    route = "the source file itself" + (", its description repaired" if made else "")
    return {"route": route, "source": ingredients.spec.digest, "repairs": made}


def open(artifact: Artifact, ingredients: Ingredients, threads: int) -> Runner:
    """Open the Keras model; TensorFlow chooses its own threads."""
    keras = ingredients.keras
    return _KerasRunner(keras.reference.model(artifact.path, keras.spec))


@dataclass(frozen=True)
class _KerasRunner:
    model: KerasModel

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self.model.outputs(inputs)
