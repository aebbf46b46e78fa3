"""An artifact opened and run in a child process: one that can crash, hang or flood ends only it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from conversion.backends import Capability, Ingredients, backend, implementation
from conversion.core.artifact import Artifact, Runner
from conversion.core.channel import Message
from conversion.core.errors import Crashed
from conversion.core.guarded import OPENING, RUNNING, Guarded, allowance
from conversion.core.running import MOST_MEMORY
from conversion.core.settings import Settings
from conversion.core.spec import Spec
from conversion.reading import custom_of, described, spec_of, stated
from conversion.reference import Reference


def open_runner(
    artifact: Artifact, ingredients: Ingredients, threads: int, memory: int = MOST_MEMORY
) -> Runner:
    """An artifact opened to run as deployed, in a child where it may crash what runs it.

    Args:
        artifact: of any backend.
        ingredients: what the backend opens it with.
        threads: threads of an operator.
        memory: bytes for activations.

    Raises:
        UserError: the file cannot be opened.
    """
    own = backend(artifact.name)
    if may_crash(artifact):
        return Opened(artifact, ingredients.spec, threads, memory=memory)
    return implementation(own).open(artifact, ingredients, threads)


def may_crash(artifact: Artifact) -> bool:
    """Whether opening or running an artifact may crash, hang or flood the process that does it."""
    return backend(artifact.name).fragile or artifact.external


FEW = 2
"""Images that a file is tried on; it gets no more time for them than for being opened."""

Held = dict[str, Any]
Answer = tuple[dict[str, Any], dict[str, np.ndarray]]


class Opened:
    """An artifact in a child process; what once crashed it is not tried again."""

    def __init__(
        self,
        artifact: Artifact,
        spec: Spec,
        threads: int,
        probe: Mapping[str, Any] | None = None,
        memory: int = MOST_MEMORY,
    ) -> None:
        """Open it as deployed, or with its tensors in view.

        Args:
            artifact: of any backend.
            spec: the model.
            threads: threads of an operator.
            probe: input name to ``(1, ...)`` float32, where its tensors are to be seen.
            memory: bytes for activations.

        Raises:
            UserError: the file cannot be opened.
        """
        limit = allowance(artifact.size, memory)
        self._child = Guarded(artifact.path.name, limit, "--memory")
        self._crashed: Crashed | None = None
        values, _ = described(spec, weights=False)
        known = {
            "backend": artifact.name,
            "path": str(artifact.path),
            "digest": artifact.digest,
            "external": artifact.external,
            "threads": threads,
            "exposed": probe is not None,
        }
        values |= {**known, **stated(spec.custom)}
        self._call("open_artifact", values, probe or {}, OPENING)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The file's own outputs, as a `Runner` gives them."""
        few = len(next(iter(inputs.values()))) <= FEW
        return self._call("run", {}, inputs, OPENING if few else RUNNING)

    def look(self, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        """Tensors, with no operator changed or fused away."""
        return self._call("tensors", {"names": list(names), "of": "look"}, inputs)

    def taps(self, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        """Tensors, the rest being as deployed."""
        return self._call("tensors", {"names": list(names), "of": "run"}, inputs)

    def _call(
        self,
        job: str,
        values: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        seconds: float = RUNNING,
    ) -> dict[str, np.ndarray]:
        if self._crashed is not None:
            raise self._crashed
        try:
            return dict(self._child.call(f"{__name__}:{job}", values, arrays, seconds).arrays)
        except Crashed as crashed:
            self._crashed = crashed
            raise


def open_artifact(held: Held, message: Message) -> Answer:
    """The job that comes first: opens an artifact and holds it."""
    values = message.values
    spec = spec_of(message, custom_of(message))
    own = backend(values["backend"])
    path, external = Path(values["path"]), values["external"]
    artifact = Artifact(own.name, path, values["digest"], {}, external=external)
    if values["exposed"]:
        opening = own.capability(Capability.TAPS)
        held["taps"] = opening(artifact, spec, values["threads"], message.arrays)
    else:
        keras = Reference().model(artifact.path, spec)  # never asked, so never started
        ingredients = Ingredients(spec, keras, Settings(), {})
        held["runner"] = implementation(own).open(artifact, ingredients, values["threads"])
    return {}, {}


def run(held: Held, message: Message) -> Answer:
    """The job of running what is open."""
    return {}, cast(Runner, held["runner"]).run(message.arrays)


def tensors(held: Held, message: Message) -> Answer:
    """The job of giving tensors of what is open."""
    given: Callable[..., dict[str, np.ndarray]] = getattr(held["taps"], message.values["of"])
    return {}, given(message.arrays, message.values["names"])
