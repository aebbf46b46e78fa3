"""Artifacts opened and run: their runners, and their outputs on images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from conversion.backends import backend
from conversion.backends.external_ports import given_back
from conversion.backends.in_child import open_runner
from conversion.core import digest
from conversion.core import environment as machine
from conversion.core.artifact import Artifact, Runner
from conversion.core.errors import Crashed, UserError
from conversion.core.progress import stage
from conversion.subjects.data import Dataset
from conversion.workspace.artifacts import Artifacts
from conversion.workspace.entries import kept, load_outputs, save_outputs
from conversion.workspace.images import ParityImages


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
class Runs:
    """Opens and runs artifacts, each on the same images once.

    Attributes:
        artifacts: what is run.
        images: those on which parity is judged.
        threads: threads of an operator.
        batch: images evaluated at a time.
        exchanged: artifact's name to what opens it on so many threads, in place of its backend.
        original: gives what depends on nothing that is exchanged; None where all is run here.
    """

    artifacts: Artifacts
    images: ParityImages
    threads: int
    batch: int
    exchanged: Mapping[str, Callable[[int], Runner]] = field(default_factory=dict)
    original: Runs | None = None
    _runners: dict[tuple[str, int], Runner] = field(default_factory=dict, init=False)
    _outputs: dict[str, Outputs] = field(default_factory=dict, init=False)

    def runner(self, name: str, threads: int | None = None) -> Runner:
        """An artifact opened to run as deployed.

        Args:
            name: the backend's name.
            threads: threads of an operator; the workspace's by default.

        Raises:
            UserError: the file cannot be opened, or its inputs and outputs do not fit the model.
        """
        key = (name, threads or self.threads)
        if (original := self._original_of(name)) is not None:
            return original.runner(*key)
        if key not in self._runners:
            other = self.exchanged.get(name)
            self._runners[key] = self._opened(*key) if other is None else other(key[1])
        return self._runners[key]

    def forget(self, name: str) -> None:
        """Close what runs an artifact, a child process too; who asks for it again opens it again.

        Args:
            name: the backend's name.
        """
        for key in [key for key in self._runners if key[0] == name]:
            del self._runners[key]

    def outputs(self, name: str, data: Dataset | Mapping[str, np.ndarray] | None = None) -> Outputs:
        """An artifact's outputs on the parity images, or on others.

        Predictions are kept by artifact digest, input digest, runtime versions and CPU; `cached`
        says which were.

        Args:
            name: the backend's name.
            data: the images, or input name to ``(N, ...)``; the parity images by default.
        """
        original = self._original_of(name)
        # Other images or threads give other outputs, whatever made the artifact.
        if original is not None and (self.images, self.threads, self.batch) == (
            original.images,
            original.threads,
            original.batch,
        ):
            return original.outputs(name, data)
        if data is self.images.subject.test and self.images.are_all_tests:
            data = None
        spec = self.artifacts.subject.spec
        if isinstance(data, Dataset):
            inputs: Mapping[str, np.ndarray] = {spec.inputs[0]: data.images}
        else:
            inputs = self.images.inputs if data is None else data
        key = {
            "artifact": self.artifacts.artifact(name).digest,
            "inputs": data.digest
            if isinstance(data, Dataset)
            else digest.of_arrays(inputs.values()),
            "threads": self.threads,
            "batch": self.batch,
            "cpu": machine.processor().digest,
        }
        known = digest.of_settings(key)
        if known not in self._outputs:
            self._outputs[known] = self._kept(name, key, inputs)
        return self._outputs[known]

    def run(self, name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """An artifact's outputs, computed here and now, batch by batch.

        Args:
            name: the backend's name.
            inputs: input name to ``(N, ...)``, any numeric dtype.
        """
        runner, count = self.runner(name), len(next(iter(inputs.values())))
        parts: list[dict[str, np.ndarray]] = []
        with stage(f"{name}: evaluating {count} images") as evaluating:
            for start in range(0, count, self.batch):
                part = slice(start, start + self.batch)
                batch = {key: array[part].astype(np.float32) for key, array in inputs.items()}
                given = runner.run(batch)
                layers = {key: self.artifacts.subject.spec.layer(key) for key in given}
                parts.append({k: given_back(v, layers[k].shape) for k, v in given.items()})
                evaluating.note = f"{min(part.stop, count)} of {count}"
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _original_of(self, name: str) -> Runs | None:
        """What runs an artifact, where neither it nor how it is run is exchanged."""
        here = name in self.exchanged or name in self.artifacts.derived
        return None if here else self.original

    def _kept(self, name: str, key: Mapping[str, Any], inputs: Mapping[str, np.ndarray]) -> Outputs:
        spec, maker = self.artifacts.subject.spec, backend(name)

        def build(folder: Path) -> Mapping[str, Any]:
            save_outputs(folder / "outputs.npz", self.run(name, inputs), spec)
            return {}

        entry = kept(
            self.artifacts.store,
            spec,
            f"outputs-{name}",
            key,
            maker.packages,
            build,
            (maker.module, __name__),
        )
        arrays = load_outputs(entry.file("outputs.npz"), spec)
        return Outputs(arrays, not entry.built, digest.of_arrays(arrays.values()))

    def _opened(self, name: str, threads: int) -> Runner:
        artifact = self.artifacts.artifact(name)
        with stage(f"opening {name}"):
            memory = self.images.streaming.memory
            runner = open_runner(artifact, self.artifacts.ingredients(), threads, memory)
        if artifact.external:
            self._check(artifact, runner)
        return runner

    def _check(self, artifact: Artifact, runner: Runner) -> None:
        """Refuse an external file whose inputs or outputs are not the model's."""
        two = {name: array[:2] for name, array in self.images.inputs.items()}
        try:
            found = runner.run(two)
        except Crashed:
            raise
        except Exception as error:  # whatever its runtime raises, the file does not take the images
            sentence = " ".join(str(error).split())[:200]
            raise UserError(
                f"Expected {artifact.path.name} to take {_shapes(two)}; it does not: {sentence}"
            ) from None
        spec = self.artifacts.subject.spec
        for name in spec.outputs:
            found[name] = given_back(found[name], spec.layer(name).shape)
            wanted = (2, *spec.layer(name).shape)
            if found[name].shape != wanted:
                raise UserError(
                    f"Expected {artifact.path.name} to give '{name}' as {wanted}; it gives "
                    f"{found[name].shape}."
                )


def _shapes(arrays: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in arrays.items())
