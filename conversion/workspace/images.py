"""The images on which parity is judged, with their float64 truth and Keras's noise."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core import digest
from conversion.core.artifact import Store
from conversion.core.progress import Stage, stage
from conversion.proof import truth
from conversion.proof.metrics.compare import Difference
from conversion.proof.metrics.layers import layer_noise
from conversion.reference import KerasModel
from conversion.subjects import Subject
from conversion.subjects.synthetic_inputs import synthetic_inputs
from conversion.workspace.entries import kept, load_outputs, save_outputs

PARITY_IMAGES = 1000
"""Images on which parity is judged; pooled statistics need at least 200 (DESIGN, contract 2)."""

LEAST_PARITY_IMAGES = 200


@dataclass(frozen=True, eq=False)
class LayerReference:
    """What every layer should give, on the first parity images.

    Attributes:
        inputs: input name to ``(200, ...)`` float32.
        truth: layer name to ``(200, ...)`` float64 from the spec.
        noise: layer name to Keras's distance from it, or to why it has no power there.
    """

    inputs: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray]
    noise: Mapping[str, Difference | str]


@dataclass(frozen=True, eq=False)
class ParityImages:
    """The images on which a subject's parity is judged, and what is computed of them once.

    Attributes:
        subject: the model, and its test images.
        keras: the model in the reference process.
        store: where the truth is kept between runs.
        seed: of synthetic inputs, where there are too few images.
    """

    subject: Subject
    keras: KerasModel
    store: Store
    seed: int

    @cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """Input name to the first 1,000 test images, or to synthetic ones where they are few."""
        spec, test = self.subject.spec, self.subject.test
        if test is None:
            return synthetic_inputs(spec, LEAST_PARITY_IMAGES, seed=self.seed)
        name = spec.inputs[0]
        images = test.images[:PARITY_IMAGES].astype(np.float32)
        missing = max(LEAST_PARITY_IMAGES - len(images), 0)
        if not missing:
            return {name: images}
        more = synthetic_inputs(spec, missing, {name: images}, self.seed)
        return {name: np.concatenate([images, more[name]])}

    @property
    def synthetic_seed(self) -> int | None:
        """The seed of the inputs, where some of them are synthetic."""
        return self.seed if self._tests < LEAST_PARITY_IMAGES else None

    @property
    def are_all_tests(self) -> bool:
        """Whether they are the subject's test images, each one and no other."""
        return LEAST_PARITY_IMAGES <= self._tests <= PARITY_IMAGES

    @property
    def _tests(self) -> int:
        return 0 if self.subject.test is None else len(self.subject.test)

    @cached_property
    def truth(self) -> Mapping[str, np.ndarray]:
        """The float64 outputs: output name to ``(N, ...)``."""
        spec, inputs = self.subject.spec, self.inputs
        key = {"spec": spec.digest, "inputs": digest.of_arrays(inputs.values())}

        def build(folder: Path) -> Mapping[str, Any]:
            with self._evaluating(inputs):
                found = truth.evaluate(spec, inputs, keep=spec.outputs).layers
            save_outputs(folder / "truth.npz", found, spec)
            return {}

        makers = (truth.__name__, __name__)
        entry = kept(self.store, spec, "truth", key, ("numpy",), build, makers)
        return load_outputs(entry.file("truth.npz"), spec)

    @cached_property
    def layers(self) -> LayerReference:
        """Every layer's truth and Keras's noise; kept in memory, 2 MB an image for ResNet8."""
        spec = self.subject.spec
        inputs = {name: a[:LEAST_PARITY_IMAGES] for name, a in self.inputs.items()}
        with self._evaluating(inputs):
            exact = truth.evaluate(spec, inputs).layers
        computed = [layer.name for layer in spec.layers if layer.kind != "InputLayer"]
        keras = {**inputs, **self.keras.layer_outputs(inputs, computed)}
        ordered = {layer.name: exact[layer.name] for layer in spec.layers}
        heads = {name: spec.head(name) for name in spec.outputs}
        return LayerReference(inputs, ordered, layer_noise(ordered, keras, heads))

    def _evaluating(self, inputs: Mapping[str, np.ndarray]) -> AbstractContextManager[Stage]:
        layers, images = len(self.subject.spec.layers), len(next(iter(inputs.values())))
        return stage(f"evaluating {layers} layers in float64 on {images} images")
