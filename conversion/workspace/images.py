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
from conversion.proof.truth.jumps import at_a_jump, edges_of
from conversion.reference import KerasModel
from conversion.subjects import Subject
from conversion.subjects.synthetic_inputs import suggested_width, synthetic_inputs
from conversion.workspace.budget import Streaming
from conversion.workspace.entries import kept, load_outputs, save_outputs
from conversion.workspace.layer_reference import LayerReference


@dataclass(frozen=True, eq=False)
class ParityImages:
    """The images on which a subject's parity is judged, and what is computed of them once.

    Attributes:
        subject: the model, and its test images.
        keras: the model in the reference process.
        store: where the truth is kept between runs.
        seed: of synthetic inputs, where there are too few images.
        streaming: how many images are looked at, and how many at a time.
    """

    subject: Subject
    keras: KerasModel
    store: Store
    seed: int
    streaming: Streaming

    @cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """Input name to the first test images, or to synthetic ones where they are few.

        In the place of one on which rounding decides between two results stands the one before it.
        """
        rows = self._decided
        return {name: array[rows] for name, array in self._drawn.items()} if rows else self._drawn

    @cached_property
    def _decided(self) -> list[int]:
        """The rows to take of the images that were drawn; none where it is all of them."""
        spec, drawn = self.subject.spec, self._drawn
        if not any(map(edges_of, spec.layers)):
            return []

        def build(folder: Path) -> Mapping[str, Any]:
            return {"open": np.flatnonzero(at_a_jump(spec, drawn, self._at_a_time)).tolist()}

        makers = (at_a_jump.__module__, __name__)
        key = {"spec": spec.digest, "inputs": digest.of_arrays(drawn.values())}
        found = kept(self.store, spec, "at-a-jump", key, ("numpy",), build, makers).notes["open"]
        rows = np.arange(len(next(iter(drawn.values()))))
        clear = np.setdiff1d(rows, found)
        if not found or 2 * len(clear) < len(rows):  # of so many no part would be the model's
            return []
        before = np.searchsorted(clear, rows, "right") - 1
        return [int(each) for each in clear[np.maximum(before, 0)]]

    @cached_property
    def _drawn(self) -> dict[str, np.ndarray]:
        spec, test, least = self.subject.spec, self.subject.test, self.streaming.least_images
        if test is None:
            return synthetic_inputs(spec, least, seed=self.seed, width=self.width)
        name = spec.inputs[0]
        images = test.images[: self.streaming.most_images].astype(np.float32)
        missing = max(least - len(images), 0)
        if not missing:
            return {name: images}
        more = synthetic_inputs(spec, missing, {name: images}, self.seed)
        return {name: np.concatenate([images, more[name]])}

    @cached_property
    def width(self) -> float:
        """How many times the suggested range every other input takes, where all are synthetic."""
        spec = self.subject.spec
        if self.subject.test is not None:
            return 1.0

        def build(folder: Path) -> Mapping[str, Any]:
            return {"width": suggested_width(spec)}

        makers = (suggested_width.__module__, __name__)
        key = {"spec": spec.digest}
        entry = kept(self.store, spec, "synthetic-width", key, ("numpy",), build, makers)
        return float(entry.notes["width"])

    @property
    def chosen(self) -> str:
        """How synthetic inputs differ from what the file suggests; empty where they do not."""
        if self.width == 1.0:
            return ""
        return (
            f"every other synthetic input spans {self.width:g} x the range that the file suggests, "
            "as in that range activations do not reach their ends"
        )

    @property
    def synthetic_seed(self) -> int | None:
        """The seed of the inputs, where some of them are synthetic."""
        return self.seed if self._tests < self.streaming.least_images else None

    @property
    def are_all_tests(self) -> bool:
        """Whether they are the subject's test images, each one and no other."""
        fits = self.streaming.least_images <= self._tests <= self.streaming.most_images
        return fits and not self._decided

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
                found = truth.evaluate(spec, inputs, spec.outputs, chunk=self._at_a_time).layers
            save_outputs(folder / "truth.npz", found, spec)
            return {}

        makers = (truth.__name__, __name__)
        entry = kept(self.store, spec, "truth", key, ("numpy",), build, makers)
        return load_outputs(entry.file("truth.npz"), spec)

    @cached_property
    def layers(self) -> LayerReference:
        """What every layer should give, and Keras's noise there."""
        count = self.streaming.layer_images
        inputs = {name: array[:count] for name, array in self.inputs.items()}
        tests = min(self._tests, count)
        return LayerReference(
            self.subject.spec, self.keras, self.store, inputs, self.streaming, tests
        )

    @property
    def _at_a_time(self) -> int:
        """Images that are evaluated at a time: float64 takes twice the room."""
        return min(max(self.streaming.batch // 2, 1), truth.CHUNK)

    def _evaluating(self, inputs: Mapping[str, np.ndarray]) -> AbstractContextManager[Stage]:
        layers, images = len(self.subject.spec.layers), len(next(iter(inputs.values())))
        return stage(f"evaluating {layers} layers in float64 on {images} images")
