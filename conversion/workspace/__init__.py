"""One subject with everything that is made from it, on demand."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from conversion.core.artifact import Artifact, Runner, Store
from conversion.core.demands import Demands
from conversion.core.errors import UserError
from conversion.core.running import Running
from conversion.core.settings import Settings
from conversion.core.spec import Spec
from conversion.quantization import calibration, coverage
from conversion.quantization.by_rule import with_rules
from conversion.readers.schema import BY_KERAS
from conversion.reference import KerasModel, Reference
from conversion.subjects import Subject
from conversion.subjects.data import Dataset
from conversion.workspace.artifacts import Artifacts
from conversion.workspace.budget import Streaming, streaming
from conversion.workspace.images import ParityImages
from conversion.workspace.layer_reference import Arrays, LayerReference
from conversion.workspace.runs import Outputs as Outputs
from conversion.workspace.runs import Runs


@dataclass(frozen=True, eq=False)
class Exchanged:
    """What stands in place of what a workspace would make itself.

    Attributes:
        original: the workspace that gives all that depends on nothing of it.
        artifacts: by name.
        runners: artifact's name to what opens it on so many threads.
        outputs: gives every artifact's outputs on a data set, or on the parity images; None where
            artifacts are run.
    """

    original: Workspace
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    runners: Mapping[str, Callable[[int], Runner]] = field(default_factory=dict)
    outputs: Callable[[str, Dataset | None], Outputs] | None = None


@dataclass(frozen=True, eq=False)
class Workspace:
    """A subject, the choices, and what they give; every part is made once and kept by digest.

    A copy with another field (`dataclasses.replace`) has made nothing yet.

    Attributes:
        subject: the model under test with its data.
        reference: the process that runs Keras.
        store: where artifacts and predictions are kept.
        settings: the choices, with layers left in float by rule.
        external: external artifacts, by the name that they stand in for.
        announce: told what is left out or warned of, one line a time.
        threads: threads of an operator in evaluation; latency always takes one.
        demands: what the user allows and asks for beside being right.
        seed: of the synthetic inputs.
        memory: bytes for activations and statistics, beside weights and runtimes.
        exchanged: what was injected; None where everything is made here.

    Raises:
        UserError: the settings name layers that the model does not have.
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
    memory: int = field(default_factory=lambda: Running().budget)
    exchanged: Exchanged | None = None

    def __post_init__(self) -> None:
        coverage.check_names(self.spec, self.settings)
        object.__setattr__(self, "settings", with_rules(self.spec, self.settings))
        own = self.spec.custom
        if own.by_keras is None and any(each.kind in BY_KERAS for each in self.spec.layers):
            # The truth of such layers is asked of the process that only a workspace knows.
            model = self.reference.model(self.subject.model, self.spec)
            spec = replace(self.spec, custom=replace(own, by_keras=model.in_float64))
            object.__setattr__(self, "subject", replace(self.subject, spec=spec))

    def with_settings(self, settings: Settings) -> Workspace:
        """The same subject under other choices; nothing that depends on a choice is shared."""
        return replace(self, settings=settings, exchanged=None)

    def of(self, subject: Subject) -> Workspace:
        """The same choices for the same model with other data; nothing is shared."""
        return replace(self, subject=subject, exchanged=None)

    def injected(
        self,
        store: Store,
        artifacts: Mapping[str, Artifact] | None = None,
        subject: Subject | None = None,
        runners: Mapping[str, Callable[[int], Runner]] | None = None,
        outputs: Callable[[str, Dataset | None], Outputs] | None = None,
    ) -> Workspace:
        """The same workspace with something exchanged; everything derived from it is rebuilt.

        What is derived from nothing that is exchanged is this workspace's own.

        Args:
            store: where whatever is rebuilt goes; never the store of good artifacts.
            artifacts: by name, in place of those that would be built.
            subject: the model with other data; the same by default.
            runners: artifact's name to what opens it on so many threads.
            outputs: gives every artifact's outputs on a data set, or on the parity images.
        """
        exchanged = Exchanged(self, artifacts or {}, runners or {}, outputs)
        return replace(self, subject=subject or self.subject, store=store, exchanged=exchanged)

    @property
    def spec(self) -> Spec:
        """What the model file says."""
        return self.subject.spec

    @cached_property
    def keras(self) -> KerasModel:
        """The Keras model in the reference process, which starts when it is first asked."""
        if self._original is not None:
            return self._original.keras
        model, streaming = self.reference.model(self.subject.model, self.spec), self.streaming
        return replace(model, batch=streaming.batch, chunk=streaming.chunk)

    @cached_property
    def streaming(self) -> Streaming:
        """How many images are looked at, and how many at a time.

        Raises:
            UserError: the budget of memory is too small for one image.
        """
        return streaming(self.subject, self.memory)

    @property
    def test(self) -> Dataset:
        """The images that artifacts are evaluated on.

        Raises:
            UserError: the subject has none.
        """
        if self.subject.test is None:
            raise UserError(f"{self.subject.name} has no data: pass --data FILE.")
        return self.subject.test

    @cached_property
    def images(self) -> ParityImages:
        """The images on which parity is judged; the original's where they are the same."""
        if (original := self._original) is not None:
            same = _pixels(original.subject) is _pixels(self.subject)
            if same and original.seed == self.seed:
                return original.images
        return ParityImages(self.subject, self.keras, self.store, self.seed, self.streaming)

    @property
    def parity_inputs(self) -> dict[str, np.ndarray]:
        """Input name to the parity images, as in `ParityImages`."""
        return self.images.inputs

    @property
    def synthetic_seed(self) -> int | None:
        """The seed of the parity inputs, where some of them are synthetic."""
        return self.images.synthetic_seed

    @property
    def truth(self) -> Mapping[str, np.ndarray]:
        """The float64 outputs on the parity images: output name to ``(N, ...)``."""
        return self.images.truth

    @property
    def layers(self) -> LayerReference:
        """What every layer should give on the first parity images, and Keras's noise there."""
        return self.images.layers

    @cached_property
    def calibrated_probes(self) -> tuple[Arrays, Arrays | None]:
        """A few images of the calibration, which no range of it cuts off, as `probes_of`."""
        images = next(calibration.batches(self.artifact("calibration").path))
        return self.layers.probes_of(dict.fromkeys(self.subject.spec.inputs, images))

    def artifact(self, name: str) -> Artifact:
        """An artifact by its backend's name, as `Artifacts.artifact`."""
        return self.artifacts.artifact(name)

    def runner(self, name: str, threads: int | None = None) -> Runner:
        """An artifact opened to run as deployed, as `Runs.runner`."""
        return self.runs.runner(name, threads)

    def outputs(self, name: str, data: Dataset | None = None) -> Outputs:
        """An artifact's outputs on the parity images, or on a data set, as `Runs.outputs`."""
        if self.exchanged is not None and self.exchanged.outputs is not None:
            return self.exchanged.outputs(name, data)
        return self.runs.outputs(name, data)

    def run(self, name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """An artifact's outputs, computed here and now, as `Runs.run`."""
        return self.runs.run(name, inputs)

    @cached_property
    def artifacts(self) -> Artifacts:
        """The graph of artifacts."""
        exchanged, original = self.exchanged, self._original
        return Artifacts(
            self.subject,
            self.keras,
            self.settings,
            self.store,
            self.external,
            self.announce,
            {} if exchanged is None else exchanged.artifacts,
            None if original is None else original.artifacts,
        )

    @cached_property
    def runs(self) -> Runs:
        """What opens and runs them."""
        exchanged, original = self.exchanged, self._original
        return Runs(
            self.artifacts,
            self.images,
            self.threads,
            self.streaming.batch,
            {} if exchanged is None else exchanged.runners,
            None if original is None else original.runs,
        )

    @property
    def _original(self) -> Workspace | None:
        """What gives all that depends on nothing exchanged; nothing does under other choices."""
        if self.exchanged is None:
            return None
        original = self.exchanged.original
        mine, others = (
            (each.spec, each.reference, each.settings, each.external) for each in (self, original)
        )
        return original if mine == others else None


def _pixels(subject: Subject) -> np.ndarray | None:
    return None if subject.test is None else subject.test.images
