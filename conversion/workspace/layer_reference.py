"""What every layer should give, a chunk of images at a time, and Keras's own distance from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core import digest
from conversion.core import environment as machine
from conversion.core.artifact import Entry, Store
from conversion.core.heap import give_back
from conversion.core.progress import stage
from conversion.core.spec import Spec
from conversion.proof import truth
from conversion.proof.metrics.difference import Difference, with_rounding
from conversion.proof.metrics.layers import Layers
from conversion.proof.metrics.limits import SAME_LAYER
from conversion.proof.taps.opened import MOST_PROBES
from conversion.proof.truth import in_float32
from conversion.reference import KerasModel
from conversion.workspace.budget import Streaming
from conversion.workspace.entries import Build, kept, load_outputs, save_outputs

SOME = 64
"""Images on which it is seen what right runtimes round differently."""

ALONE = 4
"""Images on which Keras's layers are looked at one by one."""

Arrays = dict[str, np.ndarray]

PACKAGES = ("tensorflow", "keras", "numpy")
"""What Keras's noise depends on."""


@dataclass(frozen=True, eq=False)
class LayerReference:
    """What every layer should give, on the first parity images.

    Attributes:
        spec: the model.
        keras: the model in the reference process.
        store: where Keras's noise is kept between runs.
        inputs: input name to ``(N, ...)`` float32.
        streaming: how many images are looked at, and how many at a time.
        tests: how many of the images, the first ones, are the user's own; the others are drawn.
        seen: fault and the layers at which it is looked for, to the one where it stands out most
            and by how many times the limit.
    """

    spec: Spec
    keras: KerasModel
    store: Store
    inputs: Mapping[str, np.ndarray]
    streaming: Streaming
    tests: int = 0
    seen: dict[tuple[str, ...], tuple[str, float]] = field(default_factory=dict, init=False)

    @property
    def count(self) -> int:
        """Images on which layers are compared."""
        return len(next(iter(self.inputs.values())))

    def chunks(self, most: int = 0) -> Iterator[tuple[Arrays, Iterator[tuple[str, np.ndarray]]]]:
        """The images a chunk at a time, each with its truth.

        Args:
            most: only so many images; 0 for all.

        Yields:
            Input name to ``(n, ...)`` float32, and every layer's name and output ``(n, ...)`` in
            float64, in the spec's order; to be read before the next chunk is asked for.
        """
        count = min(most or self.count, self.count)
        for start in range(0, count, self.streaming.chunk):
            part = slice(start, min(start + self.streaming.chunk, count))
            inputs = {name: array[part] for name, array in self.inputs.items()}
            if self.streaming.holds_truth:
                yield inputs, ((name, array[part]) for name, array in self._held.items())
            else:
                yield inputs, self._evaluated(inputs)

    def first(self, count: int) -> Arrays:
        """The first images, at most a chunk of them."""
        count = min(count, self.streaming.chunk)
        return {name: array[:count] for name, array in self.inputs.items()}

    @cached_property
    def probes(self) -> tuple[Arrays, Arrays | None]:
        """A few images by which the layers of a file are found, and the truth if it is held."""
        return self._spaced(self.count)

    @cached_property
    def probes_in_range(self) -> tuple[Arrays, Arrays | None]:
        """The same for a file of integers by others: the user's own images, if there are enough.

        Drawn images may exceed the ranges of its calibration, which then cut off what is in it.
        """
        return self._spaced(self.tests) if self.tests >= self.streaming.probes else self.probes

    def probes_of(self, images: Arrays) -> tuple[Arrays, Arrays | None]:
        """The first of other images instead, and their truth if it is held.

        Args:
            images: input name to ``(N, ...)`` float32.
        """
        count, most = len(next(iter(images.values()))), self.streaming.probes
        if not self.streaming.holds_truth:
            return {name: array[:most] for name, array in images.items()}, None
        some = {name: array[: min(count, SOME)] for name, array in images.items()}
        held = dict(self._evaluated(some))
        rows = showing(held, np.arange(min(count, most)))
        few, exact = ({n: a[rows] for n, a in arrays.items()} for arrays in (some, held))
        return few, exact

    def _spaced(self, count: int) -> tuple[Arrays, Arrays | None]:
        """Some of the first images, evenly spaced, and the truth if it is held."""
        chosen = np.linspace(0, count - 1, min(self.streaming.probes, count))
        rows = np.unique(chosen.astype(int))
        inputs = {name: array[rows] for name, array in self.inputs.items()}
        if not self.streaming.holds_truth:
            return inputs, None
        rows = showing({name: array[:count] for name, array in self._held.items()}, rows)
        inputs, exact = (
            {n: a[rows] for n, a in each.items()} for each in (self.inputs, self._held)
        )
        return inputs, exact

    @cached_property
    def logits(self) -> tuple[Arrays, Arrays]:
        """Every output before its softmax or sigmoid, ``(N, ...)``: the truth's and Keras's."""

        def build(folder: Path) -> Mapping[str, Any]:
            parts = [
                (truth.evaluate(self.spec, inputs, keep=()).logits, self.keras.logits(inputs))
                for inputs, _ in self.chunks()
            ]
            for file, side in zip(LOGITS, zip(*parts, strict=True), strict=True):
                whole = {n: np.concatenate([part[n] for part in side]) for n in self.spec.outputs}
                save_outputs(folder / file, whole, self.spec)
            return {}

        entry = self._kept("layer-logits", build)
        ours, theirs = (load_outputs(entry.file(file), self.spec) for file in LOGITS)
        return ours, theirs

    @cached_property
    def noise(self) -> Mapping[str, Difference | str]:
        """Layer name to Keras's distance from the truth, or to why it has no power there."""
        return {
            name: each if isinstance(each, str) else with_rounding(each, self.rounding.get(name))
            for name, each in self._differences("layer-noise", self._measured).items()
        }

    @cached_property
    def rounding(self) -> Mapping[str, Difference]:
        """Layer name to what is lost where right runtimes round differently, on some images.

        Of layers that none of it reaches, it is half a unit in their values' last place.
        """
        if not in_float32.rounds(self.spec):
            return {}
        found = self._differences("layer-rounding", self._rounded).items()
        return {name: each for name, each in found if isinstance(each, Difference)}

    def _rounded(self) -> dict[str, Difference | str]:
        compared = Layers({name: self.spec.head(name) for name in self.spec.outputs})
        with stage("rounding layers as in float32"):
            for inputs, exact in self.chunks(SOME):
                rounded = self._evaluated(inputs, rounded=True)
                for (name, value), (_, other) in zip(exact, rounded, strict=True):
                    compared.add(name, value, other.astype(np.float32))
        return compared.differences()

    def _differences(
        self, kind: str, measure: Callable[[], Mapping[str, Difference | str]]
    ) -> dict[str, Difference | str]:
        """What is measured of every layer, kept between runs."""

        def build(folder: Path) -> Mapping[str, Any]:
            _save(folder, measure())
            return {}

        entry = self._kept(kind, build)
        return _load(entry.file(SCALARS), entry.file(ARRAYS))

    def _kept(self, kind: str, build: Build) -> Entry:
        """What is found on these images, kept between runs."""
        key = {
            "spec": self.spec.digest,
            "inputs": digest.of_arrays(self.inputs.values()),
            "chunk": self.streaming.chunk,
            "cpu": machine.processor().digest,
        }
        return kept(self.store, self.spec, kind, key, PACKAGES, build, (__name__, __name__))

    @cached_property
    def doubt(self) -> str:
        """Why the truth is not to be believed; empty where Keras's layers are what it says.

        Each layer is evaluated from what Keras's layer reads, so that rounding does not add up.
        """
        key = {"spec": self.spec.digest, "inputs": digest.of_arrays(self.first(ALONE).values())}

        def build(folder: Path) -> Mapping[str, Any]:
            return {"doubt": self._doubt()}

        makers = (__name__, __name__)
        entry = kept(self.store, self.spec, "layer-doubt", key, PACKAGES, build, makers)
        return str(entry.notes["doubt"])

    def _doubt(self) -> str:
        inputs, layers = self.first(ALONE), Layers({})
        computed = [layer for layer in self.spec.layers if layer.inputs]
        keras = {**inputs, **self.keras.layer_outputs(inputs, [each.name for each in computed])}
        for layer in computed:
            read = [keras[name] for name in layer.inputs]
            layers.add(layer.name, truth.evaluate_layer(self.spec, layer, read), keras[layer.name])
        for name, each in layers.differences().items():
            if isinstance(each, Difference) and each.rms > SAME_LAYER.value * each.level:
                return (
                    f"'{name}' of Keras is {each.rms / each.level:.1e} of its rms from the float64 "
                    f"truth for the same inputs (limit {SAME_LAYER.value:.0e})"
                )
        return ""

    def _measured(self) -> dict[str, Difference | str]:
        heads = {name: self.spec.head(name) for name in self.spec.outputs}
        layers, computed = (
            Layers(heads),
            [e.name for e in self.spec.layers if e.kind != "InputLayer"],
        )
        with self._stage() as comparing:
            done = 0
            for inputs, exact in self.chunks():
                keras = {**inputs, **self.keras.layer_outputs(inputs, computed)}
                for name, value in exact:
                    layers.add(name, value, keras.pop(name))
                give_back()
                done += len(next(iter(inputs.values())))
                comparing.note = f"{done} of {self.count}"
        return layers.differences()

    @cached_property
    def _held(self) -> Arrays:
        with self._stage():
            return dict(self._evaluated(self.inputs))

    def _evaluated(
        self, inputs: Mapping[str, np.ndarray], rounded: bool = False
    ) -> Iterator[tuple[str, np.ndarray]]:
        names = {layer.name for layer in self.spec.layers}
        for layer, _, value in truth.walk(self.spec, inputs, names, rounded=rounded):
            yield layer.name, np.concatenate(value)

    def _stage(self) -> Any:
        return stage(f"evaluating {len(self.spec.layers)} layers in float64 on {self.count} images")


def showing(layers: Arrays, rows: np.ndarray) -> np.ndarray:
    """Images by which every layer can be told from a constant, if any image does.

    Args:
        layers: layer name to its values, ``(N, ...)``.
        rows: images to begin with, ``(n,)``.

    Returns:
        The same and at most as many as make `MOST_PROBES`, for layers that give one and the same
        for all of them, as a gate that is shut in most images.
    """
    for array in layers.values():
        if len(rows) >= MOST_PROBES:
            break
        if np.array_equal(array[rows], np.broadcast_to(array[rows[:1]], array[rows].shape)):
            far = np.abs(array - array[rows[0]]).reshape(len(array), -1).max(axis=1)
            if far.max() > 0:
                rows = np.sort(np.append(rows, far.argmax()))
    return rows


SCALARS, ARRAYS = "noise.json", "noise.npz"
LOGITS = ("truth.npz", "keras.npz")
FIELDS = ("channels", "images", "showing", "levels")
"""Of a difference, those that are arrays."""


def _save(folder: Path, differences: Mapping[str, Difference | str]) -> None:
    """Save differences by their numbers: a layer's name may not be a file's name."""
    scalars: list[tuple[str, Any]] = []
    arrays: dict[str, Any] = {}
    for index, (name, found) in enumerate(differences.items()):
        if isinstance(found, str):
            scalars.append((name, found))
            continue
        values = asdict(found)
        arrays |= {f"{index}-{each}": values.pop(each) for each in FIELDS}
        scalars.append((name, values))
    (folder / SCALARS).write_text(json.dumps(scalars))
    np.savez(folder / ARRAYS, **arrays)


def _load(scalars: Path, arrays: Path) -> dict[str, Difference | str]:
    found: dict[str, Difference | str] = {}
    with np.load(arrays, allow_pickle=False) as content:
        for index, (name, values) in enumerate(json.loads(scalars.read_text())):
            if isinstance(values, str):
                found[name] = values
                continue
            rest = {each: content[f"{index}-{each}"] for each in FIELDS}
            found[name] = Difference(**values, **rest)
    return found
