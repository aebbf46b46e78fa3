"""Detection power: every known fault injected in turn, and which checks see it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from conversion.backends import available, missing
from conversion.core.errors import UserError
from conversion.core.measurement import Measurement, Verdict
from conversion.core.progress import stage
from conversion.proof.checks import checks
from conversion.proof.checks.case import Case
from conversion.proof.faults import all_faults
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.pool import pool
from conversion.proof.metrics import accuracy
from conversion.reference import Reference
from conversion.subjects import Subject, find
from conversion.workspace import Workspace

IMAGES = 1000
"""Test images in the fault suite: the parity images themselves, so that outputs are made once."""

GATE = 2.0
"""Points of top-1 that accuracy alone would let pass: MLPerf Tiny's gate for this network, 85 %,
lies 2.19 points below what the reference scores."""


@dataclass(frozen=True)
class Trial:
    """One fault on one subject.

    Attributes:
        name: the fault's name.
        subject: the model that it was injected in.
        stage: where in the data's way it is.
        artifact: the backend whose artifact was judged.
        magnitude: how large it is, in words.
        expected_check: the check that must fail.
        expected_layer: the layer at fault, or words of its cause.
        caught: whether the expected check failed.
        caught_by: every check that failed.
        named_layer: what the expected check named.
        localised: whether that is the layer or cause at fault.
        top1_change: points of top-1 against Keras over the images; None where there are no outputs.
        accuracy_alone: whether top-1 alone would have caught it, at `GATE` points.
        errors: checks that stopped with an error, which is not a catch.
        smallest: the smallest size in a sweep that is still caught, all larger ones too; None
            where the fault has no size.
        missed: the largest size in a sweep that is not caught; None where none was missed.
    """

    name: str
    subject: str
    stage: str
    artifact: str
    magnitude: str
    expected_check: str
    expected_layer: str
    caught: bool
    caught_by: tuple[str, ...]
    named_layer: str
    localised: bool
    top1_change: float | None
    accuracy_alone: bool
    errors: tuple[str, ...] = ()
    smallest: float | None = None
    missed: float | None = None


@dataclass(frozen=True)
class Control:
    """An untouched artifact under the same checks.

    Attributes:
        subject: the model.
        artifact: the backend.
        measurements: what the checks measured.
    """

    subject: str
    artifact: str
    measurements: tuple[Measurement, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """What failed, in words; empty where all is well."""
        return tuple(m.explain() for m in _failures(self.measurements))

    def document(self) -> dict[str, Any]:
        """What `power.json` holds of it."""
        return {
            "subject": self.subject,
            "artifact": self.artifact,
            "measurements": len(self.measurements),
            "failed": self.failed,
        }


@dataclass(frozen=True)
class Power:
    """What the suite can see.

    Attributes:
        trials: one a fault and subject.
        controls: one an untouched artifact.
    """

    trials: tuple[Trial, ...]
    controls: tuple[Control, ...]

    def exit_code(self) -> int:
        """0 where every fault was caught and named and every control is green."""
        caught = all(trial.caught and trial.localised for trial in self.trials)
        return 0 if caught and not any(control.failed for control in self.controls) else 1

    def document(self) -> dict[str, Any]:
        """What `power.json` holds."""
        return {
            "faults": [asdict(trial) for trial in self.trials],
            "controls": [control.document() for control in self.controls],
        }


def power(
    subjects: Sequence[str], names: Sequence[str] | None = None, sweeps: bool = True
) -> Power:
    """Inject every fault in every subject, and run the untouched artifacts beside them.

    Args:
        subjects: names of subjects whose layers the faults know.
        names: only these faults; all of them by default.
        sweeps: whether faults that have a size are tried at smaller ones too.

    Raises:
        UserError: a subject or fault is unknown.
    """
    chosen = [fault.name for fault in _chosen(names)]
    for subject in subjects:
        find(subject)
    workers = min(len(subjects), os.cpu_count() or 1)
    if workers == 1:
        parts = [_of_subject(subject, chosen, sweeps) for subject in subjects]
    else:
        with pool(workers) as processes:
            jobs = [processes.submit(_of_subject, each, chosen, sweeps) for each in subjects]
            parts = [job.result() for job in jobs]
    return Power(
        tuple(trial for part in parts for trial in part.trials),
        tuple(control for part in parts for control in part.controls),
    )


def _chosen(names: Sequence[str] | None) -> list[Fault]:
    every = all_faults()
    known = {fault.name: fault for fault in every}
    every = tuple(fault for fault in every if not missing(fault.artifact))
    for name in names or ():
        if name not in known:
            raise UserError(f"Expected the name of a fault; '{name}' is none of {len(known)}.")
    return list(every) if names is None else [known[name] for name in names]


def _of_subject(subject: str, names: Sequence[str], sweeps: bool) -> Power:
    with Reference() as reference:
        # One thread: subjects run side by side, and threads that wait for each other take longer.
        found = find(subject)
        workspace = prepared(Workspace(limited(found), reference, threads=1))
        # Controls on every image: a change of accuracy on a thousand says little.
        whole = Workspace(found, reference)
        controls = tuple(control(whole, name) for name in available())
        trials, faults = list[Trial](), _chosen(names)
        with stage(f"{subject}: injecting {len(faults)} faults") as injecting:
            for fault in faults:
                injecting.note = f"{fault.name}, {len(trials) + 1} of {len(faults)}"
                trials.append(trial(workspace, fault, sweeps))
        return Power(tuple(trials), controls)


def limited(subject: Subject) -> Subject:
    """The subject with its first 1,000 test images."""
    test = subject.test
    if test is None or len(test) <= IMAGES:
        return subject
    return replace(subject, test=test.subset(np.arange(IMAGES)))


def prepared(workspace: Workspace) -> Workspace:
    """The workspace with all that faults share made beforehand: artifacts, truth, Keras's outputs.

    Args:
        workspace: a good one; whatever it lacks is made.
    """
    for name in available():
        workspace.outputs(name)
    _ = workspace.truth, workspace.layers
    return workspace


def control(workspace: Workspace, name: str) -> Control:
    """An untouched artifact under every check that faults are judged by."""
    measured = (m for _, found in _measured(Case(workspace, name)) for m in found)
    return Control(workspace.subject.name, name, tuple(measured))


def trial(workspace: Workspace, fault: Fault, sweeps: bool) -> Trial:
    """Inject one fault, run every check, and take it out again.

    Args:
        workspace: a good one.
        fault: what to inject.
        sweeps: whether to try smaller sizes where it has a size.
    """
    with _injected(workspace, fault, fault.inject) as case:
        errors: list[str] = []
        results = list(_measured(case, fault.check, errors))
        change = _top1_change(workspace, case)
    failed = {check: bad for check, found in results if (bad := _failures(found))}
    expected = failed.get(fault.check, [])
    named = naming(workspace, fault, expected)
    shown = fault.where if named is not None else next((m.layer or "" for m in expected), "")
    smallest, missed = _sweep(workspace, fault) if sweeps and fault.sizes else (None, None)
    return Trial(
        name=fault.name,
        subject=workspace.subject.name,
        stage=fault.stage,
        artifact=fault.artifact,
        magnitude=fault.magnitude,
        expected_check=fault.check,
        expected_layer=fault.where,
        caught=bool(expected),
        caught_by=tuple(failed),
        named_layer=shown,
        localised=named is not None,
        top1_change=change,
        accuracy_alone=change is not None and change < -GATE,
        errors=tuple(errors),
        smallest=smallest,
        missed=missed,
    )


def naming(workspace: Workspace, fault: Fault, found: Sequence[Measurement]) -> Measurement | None:
    """The first failure that names the layer at fault, or the cause where it is no layer.

    Args:
        workspace: a good one.
        fault: what was injected.
        found: what the expected check measured.
    """
    layers = {layer.name for layer in workspace.spec.layers}
    for measurement in _failures(found):
        if fault.where in layers:
            right = measurement.layer == fault.where
        else:
            right = fault.where in measurement.reason
        if right:
            return measurement
    return None


def caught(workspace: Workspace, fault: Fault, inject: Inject) -> tuple[bool, list[Measurement]]:
    """Whether the check that must catch a fault fails, and what it measured.

    Args:
        workspace: a good one.
        fault: what is injected.
        inject: injects it, perhaps in another size.
    """
    with _injected(workspace, fault, inject) as case:
        found = _asked(case, fault.check)
    return bool(_failures(found)), found


def failures(workspace: Workspace, artifact: str, check: str) -> list[Measurement]:
    """What a check finds wrong with an untouched artifact."""
    return _failures(_asked(Case(workspace, artifact), check))


def _asked(case: Case, name: str) -> list[Measurement]:
    named = [check for check in checks(case.name) if check.name == name]
    return [measured for check in named for measured in check.measure(case)]


def _failures(found: Iterable[Measurement]) -> list[Measurement]:
    return [m for m in found if m.verdict is Verdict.FAIL]


@contextmanager
def _injected(workspace: Workspace, fault: Fault, inject: Inject) -> Iterator[Case]:
    """The case with a fault in it, in a folder of its own that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="conversion-fault-") as folder:
        yield Case(inject(workspace, Path(folder)), fault.artifact)


def _measured(
    case: Case, expected: str | None = None, errors: list[str] | None = None
) -> Iterator[tuple[str, list[Measurement]]]:
    """Every check but the timing ones; those only where they are what is expected to fail."""
    for check in checks(case.name):
        if check.topic == "latency" and check.name != expected:
            continue
        try:
            yield check.name, check.measure(case)
        except Exception as error:  # an error is not a catch: it is told apart
            if errors is None:
                raise
            errors.append(f"{check.name}: {type(error).__name__}: {error}"[:300])


def _top1_change(workspace: Workspace, case: Case) -> float | None:
    """Points of top-1 against Keras on the good images, as an evaluation would count them."""
    output = workspace.spec.outputs[0]
    try:
        found, _ = case.tally(case.name)
    except Exception:  # whatever its runtime raises: an artifact without outputs has no accuracy
        return None
    test, keras = workspace.test, workspace.outputs("keras-fp32").arrays[output]
    assert test.labels is not None
    right = accuracy.tally(keras, test.labels)
    return 100 * (found.hits / found.n - right.hits / right.n)


def _sweep(workspace: Workspace, fault: Fault) -> tuple[float | None, float | None]:
    """The smallest size that is still caught and the largest that is not, from large to small."""
    assert fault.resized is not None
    smallest = None
    for size in fault.sizes:
        if not caught(workspace, fault, fault.resized(size))[0]:
            return smallest, size
        smallest = size
    return smallest, None
