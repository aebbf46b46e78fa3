"""One candidate, built and measured on the selection images and the clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from conversion.backends import Capability, backend
from conversion.core.errors import UserError
from conversion.core.measurement import Verdict
from conversion.core.settings import Settings
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.quantized_layers import layer_sqnr
from conversion.proof.checks.int8.saturation import saturation
from conversion.proof.checks.latency import record, timed
from conversion.proof.metrics import latency
from conversion.proof.metrics.accuracy import Change, paired_change, tally
from conversion.proof.metrics.agreement import share_interval
from conversion.proof.metrics.sqnr import sqnr
from conversion.proof.search.candidates import Candidate, Worth
from conversion.proof.search.rows import Row, Speed
from conversion.subjects import Subject
from conversion.subjects.data import Dataset, draw_stratified
from conversion.workspace import Workspace

if TYPE_CHECKING:
    from conversion.backends.onnx_deployed import Deployed

BASELINE = "onnx-fp32"
"""Every candidate of every runtime is compared with it: the float32 that a user would ship."""

SELECTION = 4000
LEAST = 100
"""Selection images: as many as help, and fewer say nothing."""

SEED = 1
PROFILED = 50
"""Runs of a profile."""


def split(subject: Subject) -> tuple[Subject, Dataset]:
    """Take the selection images out of the training images.

    They are what the search chooses on, so they are neither calibration images nor test images;
    equal images, by content, are on one side only.

    Args:
        subject: the model with its data.

    Returns:
        The subject with the training images that are left to calibrate on, and the selection
        images.

    Raises:
        UserError: there are too few training images.
    """
    train = subject.train
    if train is None:
        raise UserError(
            f"{subject.name} has no images to calibrate and choose on: pass --data FILE."
        )
    count = min(SELECTION, max(len(train) - Settings().calibration.count, len(train) // 2))
    if count < LEAST:
        raise UserError(
            f"Expected at least {2 * LEAST} training images, to calibrate on one half and choose "
            f"on the other; {subject.name} has {len(train)}."
        )
    drawn = draw_stratified(train.labels, len(train), count, SEED)
    digests = np.array(train.image_digests())
    barred = set(() if subject.test is None else subject.test.image_digests())
    chosen = np.array([i for i in drawn if digests[i] not in barred], np.int64)
    taken = set(digests[chosen])
    rest = np.array([i for i in range(len(train)) if digests[i] not in taken], np.int64)
    return replace(subject, train=train.subset(rest)), train.subset(chosen)


class Bench:
    """Measures candidates of one subject.

    Attributes:
        workspace: the subject without its selection images.
        selection: those images.
    """

    def __init__(self, workspace: Workspace, selection: Dataset) -> None:
        self.workspace, self.selection = workspace, selection
        self._output = workspace.spec.outputs[0]
        self._inputs = {workspace.spec.inputs[0]: selection.images}
        self._float = workspace.run(BASELINE, self._inputs)[self._output]

    def row(self, candidate: Candidate, budget: float) -> Row:
        """Build a candidate and measure it.

        Args:
            candidate: the choice.
            budget: seconds of timing until an interval that does not close is left open.

        Raises:
            UserError: it cannot be built or run.
        """
        workspace = self.workspace.with_settings(candidate.settings)
        artifact = workspace.artifact(candidate.backend)
        outputs = workspace.run(candidate.backend, self._inputs)[self._output]
        agreed, change = self._answers(outputs)
        times = timed(workspace, [artifact, workspace.artifact(BASELINE)], budget)
        return Row(
            label=candidate.label,
            backend=candidate.backend,
            stage=candidate.stage,
            why=candidate.why,
            scheme=candidate.scheme,
            digest=artifact.digest,
            size=artifact.size,
            memory=float(np.median(times.memory[:, 0])),
            images=len(outputs),
            agreed=agreed,
            agreement=share_interval(agreed, len(outputs)),
            change=None if change is None else change.points,
            interval=None if change is None else change.interval,
            sqnr=sqnr(self._float.astype(np.float64), outputs.astype(np.float64)),
            speed={batch: _speed(seconds) for batch, seconds in times.seconds.items()},
            **self._overflow(Case(workspace, candidate.backend)),
            operators=self._operators(workspace, candidate.backend),
            record={
                **record(times),
                "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )

    def _answers(self, outputs: np.ndarray) -> tuple[int, Change | None]:
        """On how many images the answer is the baseline's, and the change of top-1."""
        flat = (outputs.reshape(len(outputs), -1), self._float.reshape(len(outputs), -1))
        labels = self.selection.labels
        unlabelled = np.zeros(len(outputs), np.int64)
        ours, theirs = (tally(each, unlabelled if labels is None else labels) for each in flat)
        agreed = int(np.count_nonzero(ours.predictions == theirs.predictions))
        return agreed, None if labels is None else paired_change(theirs.correct, ours.correct)

    def _overflow(self, case: Case) -> dict[str, str]:
        """What the sums of uint8 x int8 products do on CPUs without VNNI, and in which layer."""
        if not case.backend.offers(Capability.NARROW_SUMS):
            return {"overflow": "", "overflows": ""}
        failed = [m for m in saturation(case) if m.verdict is not Verdict.PASS]
        failed = [m for m in failed if m.verdict is not Verdict.SKIPPED]
        if not failed:
            return {"overflow": "", "overflows": ""}
        worst = next((m for m in failed if m.name.endswith("answers")), failed[0])
        said = "other answers" if worst.value is None else f"{worst.value:.3g} {worst.unit} change"
        return {"overflow": f"without VNNI {said}", "overflows": worst.layer or ""}

    def worth(self, candidate: Candidate) -> list[Worth]:
        """What leaving each layer in float may gain and cost, measured on a candidate's file.

        The damage is what its own quantization noise does to the outputs; the cost is the profiled
        time of its nodes in float32 less that in int8.
        """
        workspace = self.workspace.with_settings(candidate.settings)
        (found,) = layer_sqnr(Case(workspace, candidate.backend))
        damage = {row["layer"].split("+")[0]: row["damage"] for row in found.rows}
        before, after = (self._seconds(workspace, name) for name in (BASELINE, candidate.backend))
        float_layers = candidate.settings.onnx.float_layers
        return [
            Worth(name, damage[name], before[name] - after[name])
            for name in before
            if name in damage and name in after and name not in float_layers
        ]

    def _profiled(self, workspace: Workspace, name: str) -> Deployed:
        """An ONNX file as it is deployed, with the time of every node over some runs."""
        from conversion.backends.onnx_deployed import deployed
        from conversion.backends.onnx_file import inputs, load

        path = workspace.artifact(name).path
        ports = zip(inputs(load(path)), workspace.spec.inputs, strict=True)
        feed = {port.name: workspace.parity_inputs[given][:1] for port, given in ports}
        return deployed(path, feed, PROFILED)

    def _operators(self, workspace: Workspace, name: str) -> dict[str, float]:
        """Microseconds of one image by operator, the three slowest."""
        if not backend(name).offers(Capability.ONNX_FILE):
            return {}
        found, spent = self._profiled(workspace, name), dict[str, float]()
        kinds = {node.name: node.op_type for node in found.model.graph.node}
        for node, seconds in found.seconds.items():
            kind = kinds.get(node, "other")
            spent[kind] = spent.get(kind, 0.0) + 1e6 * seconds
        return dict(sorted(spent.items(), key=lambda each: -each[1])[:3])

    def _seconds(self, workspace: Workspace, name: str) -> dict[str, float]:
        """Seconds of every layer that multiplies by a kernel, for one image."""
        places: dict[str, list[str]] = json.loads(
            workspace.artifact("onnx-places").path.read_text()
        )
        measured = self._profiled(workspace, name).seconds
        kernels = [each.name for each in workspace.spec.layers if "kernel" in each.weights]
        found: dict[str, float] = {}
        for layer in kernels:
            seconds = _of_nodes(measured, places.get(layer, []))
            if seconds:
                found[layer] = seconds
        return found


def _of_nodes(seconds: Mapping[str, float], nodes: list[str]) -> float:
    """The time of nodes that bear one of these names, alone or with what ONNX Runtime appends."""
    return sum(
        time
        for name, time in seconds.items()
        if any(name == node or name.startswith(f"{node}_") for node in nodes)
    )


def _speed(seconds: tuple[np.ndarray, ...]) -> Speed:
    found = latency.ratio(seconds)
    call = float(np.median([np.median(each[:, 0]) for each in seconds]))
    return Speed(found.value, *found.interval, found.verdict, call)


def packages(name: str) -> tuple[str, ...]:
    """The distributions that a candidate of a backend depends on."""
    return tuple(dict.fromkeys((*backend(name).packages, *backend(BASELINE).packages)))
