"""One subject with everything that is made from it: the graph of artifacts, built on demand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from conversion.backends import (
    BACKENDS,
    STEPS,
    Backend,
    Ingredients,
    backend,
)
from conversion.core import custom_layers, digest
from conversion.core import environment as machine
from conversion.core.artifact import Artifact, Entry, Runner, Store
from conversion.core.code import code_digest
from conversion.core.demands import Demands
from conversion.core.errors import UserError
from conversion.core.progress import Stage, stage
from conversion.core.settings import Settings
from conversion.core.spec import Spec
from conversion.proof import truth
from conversion.proof.metrics.compare import Difference
from conversion.proof.metrics.layers import layer_noise
from conversion.quantization import calibration, coverage
from conversion.readers import read_spec
from conversion.reference import KerasModel, Reference
from conversion.subjects import Subject
from conversion.subjects.data import Dataset
from conversion.subjects.synthetic_inputs import synthetic_inputs

BATCH = 250
"""Images evaluated at a time."""

PARITY_IMAGES = 1000
"""Images on which parity is judged; pooled statistics need at least 200 (DESIGN, contract 2)."""

LEAST_PARITY_IMAGES = 200

_OF_IMAGES = ("parity_inputs", "truth", "layers")
"""What a workspace keeps of its images and may share while they are the same."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """An artifact's outputs on some images.

    Attributes:
        arrays: output name to ``(N, ...)`` float32.
        cached: whether they were kept from an earlier run.
        digest: SHA-256 of the arrays.
    """

    arrays: Mapping[str, np.ndarray]
    cached: bool
    digest: str


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
class Workspace:
    """A subject, the choices, and what they give; every part is made once and kept by digest.

    Attributes:
        subject: the model under test with its data.
        reference: the process that runs Keras.
        store: where artifacts and predictions are kept.
        settings: the choices.
        external: external artifacts, by the name that they stand in for.
        announce: told what is left out or warned of, one line a time.
        threads: threads of an operator in evaluation; latency always takes one.
        demands: what the user allows and asks for beside being right.
        seed: of the synthetic inputs.
    """

    subject: Subject
    reference: Reference
    store: Store = field(default_factory=Store)
    settings: Settings = field(default_factory=Settings)
    external: Mapping[str, Path] = field(default_factory=dict)
    announce: Callable[[str], None] = lambda line: None
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    demands: Demands = field(default_factory=Demands)
    seed: int = 0
    _artifacts: dict[str, Artifact] = field(default_factory=dict)
    _runners: dict[tuple[str, int], Runner] = field(default_factory=dict)
    _outputs: dict[str, Outputs] = field(default_factory=dict)

    def with_settings(self, settings: Settings) -> Workspace:
        """The same subject under other choices; nothing that depends on a choice is shared."""
        return replace(self, settings=settings, _artifacts={}, _runners={}, _outputs={})

    def of(self, subject: Subject) -> Workspace:
        """The same choices for the same model with other data; nothing is shared."""
        return replace(self, subject=subject, _artifacts={}, _runners={}, _outputs={})

    def injected(
        self, store: Store, artifacts: Mapping[str, Artifact], subject: Subject | None = None
    ) -> Workspace:
        """The same workspace with something exchanged; everything derived from it is rebuilt.

        Args:
            store: where whatever is rebuilt goes; never the store of good artifacts.
            artifacts: by name, in place of those that would be built.
            subject: the model with other data; the same by default.
        """
        exchanged = set(artifacts)
        while more := {
            name
            for name, maker in {**BACKENDS, **STEPS}.items()
            if name not in exchanged and exchanged & set(maker.needs)
        }:
            exchanged |= more
        kept = {name: each for name, each in self._artifacts.items() if name not in exchanged}
        runners = {key: each for key, each in self._runners.items() if key[0] not in exchanged}
        other = replace(
            self,
            subject=subject or self.subject,
            store=store,
            _artifacts={**kept, **artifacts},
            _runners=runners,
            _outputs=dict(self._outputs),
        )
        shared = ("spec", "keras") if subject else ("spec", "keras", "test", *_OF_IMAGES)
        for name in shared:  # frozen, but what is cached there is no field
            if name in vars(self):
                vars(other)[name] = vars(self)[name]
        return other

    @cached_property
    def spec(self) -> Spec:
        """What the model file says.

        Raises:
            UserError: the file cannot be read, or the subject's data or the names of layers in the
                settings do not fit the model.
        """
        spec = read_spec(self.subject.model)
        self.subject.check_fits(spec)
        coverage.check_names(spec, self.settings)
        return spec

    @cached_property
    def keras(self) -> KerasModel:
        """The Keras model in the reference process, which starts when it is first asked."""
        return self.reference.model(self.subject.model, self.spec)

    @cached_property
    def test(self) -> Dataset:
        """The images that artifacts are evaluated on.

        Raises:
            UserError: the subject has none.
        """
        if self.subject.test is None:
            raise UserError(f"{self.subject.name} has no data: pass --data FILE.")
        return self.subject.test

    @cached_property
    def parity_inputs(self) -> dict[str, np.ndarray]:
        """Input name to the first 1,000 test images, or to made ones where there are too few."""
        if self.subject.test is None:
            return synthetic_inputs(self.spec, LEAST_PARITY_IMAGES, seed=self.seed)
        name = self.spec.inputs[0]
        images = self.subject.test.images[:PARITY_IMAGES].astype(np.float32)
        missing = max(LEAST_PARITY_IMAGES - len(images), 0)
        if not missing:
            return {name: images}
        made = synthetic_inputs(self.spec, missing, {name: images}, self.seed)
        return {name: np.concatenate([images, made[name]])}

    @property
    def synthetic_seed(self) -> int | None:
        """The seed of the parity inputs, where some of them are synthetic."""
        real = 0 if self.subject.test is None else len(self.subject.test)
        return self.seed if real < LEAST_PARITY_IMAGES else None

    @cached_property
    def truth(self) -> Mapping[str, np.ndarray]:
        """The float64 outputs on the parity images: output name to ``(N, ...)``."""
        inputs = self.parity_inputs
        key = {"spec": self.spec.digest, "inputs": digest.of_arrays(inputs.values())}

        def build(folder: Path) -> Mapping[str, Any]:
            with self._evaluating_truth(inputs):
                found = truth.evaluate(self.spec, inputs, keep=self.spec.outputs).layers
            np.savez(folder / "truth.npz", **_numbered(found, self.spec))
            return {}

        entry = self._stored("truth", key, ("numpy",), build, "conversion.proof.truth")
        return _read(entry.file("truth.npz"), self.spec)

    @cached_property
    def layers(self) -> LayerReference:
        """Every layer's truth and Keras's noise; kept in memory, 2 MB an image for ResNet8."""
        inputs = {name: a[:LEAST_PARITY_IMAGES] for name, a in self.parity_inputs.items()}
        with self._evaluating_truth(inputs):
            exact = truth.evaluate(self.spec, inputs).layers
        computed = [layer.name for layer in self.spec.layers if layer.kind != "InputLayer"]
        keras = {**inputs, **self.keras.layer_outputs(inputs, computed)}
        ordered = {layer.name: exact[layer.name] for layer in self.spec.layers}
        heads = {name: self.spec.head(name) for name in self.spec.outputs}
        return LayerReference(inputs, ordered, layer_noise(ordered, keras, heads))

    def _evaluating_truth(self, inputs: Mapping[str, np.ndarray]) -> AbstractContextManager[Stage]:
        layers, images = len(self.spec.layers), len(next(iter(inputs.values())))
        return stage(f"evaluating {layers} layers in float64 on {images} images")

    def artifact(self, name: str) -> Artifact:
        """An artifact by its backend's name, brought or built, with everything that it needs.

        Raises:
            UserError: the name is unknown, or the build refuses what it was given.
        """
        if name not in self._artifacts:
            self._artifacts[name] = self._obtain(name)
        return self._artifacts[name]

    def runner(self, name: str, threads: int | None = None) -> Runner:
        """An artifact opened to run as deployed.

        Args:
            name: the backend's name.
            threads: threads of an operator; the workspace's by default.

        Raises:
            UserError: the file cannot be opened, or its inputs and outputs do not fit the model.
        """
        key = (name, threads or self.threads)
        if key not in self._runners:
            artifact = self.artifact(name)
            with stage(f"opening {name}"):
                implementation = backend(name).load()
                runner = implementation.open(artifact, self._ingredients(()), key[1])
            if artifact.external:
                self._check_runner(artifact, runner)
            self._runners[key] = runner
        return self._runners[key]

    def outputs(self, name: str, data: Dataset | None = None) -> Outputs:
        """An artifact's outputs on the parity images, or on a data set.

        Predictions are kept by artifact digest, input digest, runtime versions and CPU; `cached`
        says which were.

        Args:
            name: the backend's name.
            data: the images; the parity images by default.
        """
        artifact = self.artifact(name)
        if data is not None and data is self.test and len(data) == self._shared:
            data = None
        inputs = self.parity_inputs if data is None else {self.spec.inputs[0]: data.images}
        key = {
            "artifact": artifact.digest,
            "inputs": data.digest if data else digest.of_arrays(inputs.values()),
            "threads": self.threads,
            "cpu": machine.processor().digest,
        }
        known = digest.of_settings(key)
        if known not in self._outputs:
            self._outputs[known] = self._stored_outputs(name, key, inputs)
        return self._outputs[known]

    @property
    def _shared(self) -> int:
        """How many test images there are where they are the parity images, each one; else 0."""
        tests = 0 if self.subject.test is None else len(self.subject.test)
        return tests if LEAST_PARITY_IMAGES <= tests <= PARITY_IMAGES else 0

    def _stored_outputs(
        self, name: str, key: Mapping[str, Any], inputs: Mapping[str, np.ndarray]
    ) -> Outputs:
        def build(folder: Path) -> Mapping[str, Any]:
            found = self.run(name, inputs)
            np.savez(folder / "outputs.npz", **_numbered(found, self.spec))
            return {}

        packages = backend(name).packages
        entry = self._stored(f"outputs-{name}", key, packages, build, backend(name).module)
        arrays = _read(entry.file("outputs.npz"), self.spec)
        return Outputs(arrays, not entry.built, digest.of_arrays(arrays.values()))

    def run(self, name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """An artifact's outputs, computed here and now, batch by batch.

        Args:
            name: the backend's name.
            inputs: input name to ``(N, ...)``, any numeric dtype.
        """
        runner, count = self.runner(name), len(next(iter(inputs.values())))
        if name == "keras-fp32":  # one message; Keras batches on its side
            return runner.run(inputs)
        parts: list[dict[str, np.ndarray]] = []
        with stage(f"{name}: evaluating {count} images") as evaluating:
            for start in range(0, count, BATCH):
                batch = {k: a[start : start + BATCH].astype(np.float32) for k, a in inputs.items()}
                parts.append(runner.run(batch))
                evaluating.note = f"{min(start + BATCH, count)} of {count}"
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _obtain(self, name: str) -> Artifact:
        if name in self.external:
            path = self.external[name]
            if not path.is_file():
                raise UserError(f"Expected a {name} file at {path}; there is none.")
            notes = {"route": "external", "file": path.name}
            return Artifact(name, path, digest.of_file(path), notes, external=True)
        if name == "calibration":
            return self._calibration()
        maker = STEPS.get(name) or backend(name)
        file = _file(maker, self.spec)
        needed = {need: self.artifact(need).digest for need in maker.needs}
        chosen = {part: self.settings.part(part) for part in maker.settings}
        before = [self.artifact(need).provenance for need in maker.needs]
        inherited = {k: v for each in before for k, v in each.items() if k == "preprocessing" and v}
        key = {"source": self.spec.digest, "needs": needed, "settings": chosen, **inherited}

        def build(folder: Path) -> Mapping[str, Any]:
            with stage(f"building {name}"):
                notes = maker.load().build(self._ingredients(maker.needs), folder / file)
            brings = custom_layers.current().provenance
            known = {**inherited, **({"custom": brings} if brings else {})}
            return {"artifact": name, "settings": chosen, **known, **notes}

        made = self._stored(name, key, maker.packages, build, maker.module).artifact(name, file)
        for warning in made.provenance.get("warnings", ()):
            self.announce(f"warning while building {name}: {warning}")
        return made

    def _calibration(self) -> Artifact:
        train, settings = self.subject.train, self.settings.seeded(0)
        if train is None:
            raise UserError(
                f"{self.subject.name} has no training images to calibrate on: pass --data FILE."
            )
        test = self.subject.test
        key = {
            "train": train.digest,
            "test": None if test is None else test.digest,
            "preprocessing": train.preprocessing,
            "choice": settings.part("calibration"),
        }

        def build(folder: Path) -> Mapping[str, Any]:
            choice = settings.calibration
            return calibration.save(calibration.draw(train, test, choice), folder, choice)

        entry = self._stored("calibration", key, ("numpy",), build, calibration.__name__)
        return entry.artifact("calibration", calibration.FILE)

    def _stored(
        self,
        kind: str,
        key: Mapping[str, Any],
        packages: Iterable[str],
        build: Callable[[Path], Mapping[str, Any]],
        module: str,
    ) -> Entry:
        """An entry of the store, under a key with the user's layers and the code that makes it."""
        whole = {**key, "custom": custom_layers.current().provenance}
        # The spec is as the readers made it, and this module says what is built of it.
        code = code_digest(module, "conversion.readers", alone=(__name__,))
        return self.store.obtain(kind, whole, packages, build, code)

    def _ingredients(self, needs: tuple[str, ...]) -> Ingredients:
        artifacts = {need: self.artifact(need) for need in needs}
        return Ingredients(self.spec, self.keras, self.settings, artifacts)

    def _check_runner(self, artifact: Artifact, runner: Runner) -> None:
        """Refuse an external file whose inputs or outputs are not the model's."""
        two = {name: array[:2] for name, array in self.parity_inputs.items()}
        try:
            found = runner.run(two)
        except Exception as error:  # whatever its runtime raises, the file does not take the images
            sentence = " ".join(str(error).split())[:200]
            raise UserError(
                f"Expected {artifact.path.name} to take {_shapes(two)}; it does not: {sentence}"
            ) from None
        for name in self.spec.outputs:
            wanted = (2, *self.spec.layer(name).shape)
            if found[name].shape != wanted:
                raise UserError(
                    f"Expected {artifact.path.name} to give '{name}' as {wanted}; it gives "
                    f"{found[name].shape}."
                )


def _file(maker: Backend, spec: Spec) -> str:
    """The reference is the source's own kind of file; of any other backend there is one kind."""
    return f"{maker.name}{spec.suffix if maker.name == 'keras-fp32' else maker.suffix}"


def _shapes(arrays: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in arrays.items())


def _numbered(arrays: Mapping[str, np.ndarray], spec: Spec) -> dict[str, Any]:
    """Arrays by the number of the output: a layer's name may not be a file's name."""
    return {str(index): arrays[name] for index, name in enumerate(spec.outputs)}


def _read(path: Path, spec: Spec) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as content:
        return {name: content[str(index)] for index, name in enumerate(spec.outputs)}
