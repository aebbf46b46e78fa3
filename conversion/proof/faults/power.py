"""Detection power: faults injected in turn, and which checks see them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from conversion.backends import available, missing
from conversion.core.errors import UserError
from conversion.core.progress import stage
from conversion.core.spec import Spec
from conversion.proof.faults import all_faults, faults_of
from conversion.proof.faults.fault import Fault, NotInjectable
from conversion.proof.faults.pool import pool
from conversion.proof.faults.trial import Control, Trial, control, trial
from conversion.reference import Reference
from conversion.subjects import Subject, find
from conversion.workspace import Workspace

IMAGES = 1000
"""Test images in the fault suite: the parity images themselves, so that outputs are made once."""

OVER = "the budget was over"


@dataclass(frozen=True)
class Power:
    """What the suite can see.

    Attributes:
        trials: one a fault and subject.
        controls: one an untouched artifact.
        left_out: faults that were not injected, and why.
    """

    trials: tuple[Trial, ...]
    controls: tuple[Control, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def exit_code(self) -> int:
        """0 where every fault was caught and named and every control is green."""
        caught = all(trial.caught and trial.localised for trial in self.trials)
        return 0 if caught and not any(control.failed for control in self.controls) else 1

    def document(self) -> dict[str, Any]:
        """What `power.json` holds."""
        return {
            "faults": [asdict(trial) for trial in self.trials],
            "controls": [control.document() for control in self.controls],
            "left_out": dict(self.left_out),
        }


def power(
    subjects: Sequence[str],
    names: Sequence[str] | None = None,
    sweeps: bool = True,
    budget: float | None = None,
) -> Power:
    """Inject the faults of the table in every reference subject, beside untouched artifacts.

    Args:
        subjects: names of subjects whose layers the table knows.
        names: only these faults, or patterns such as ``onnx-*``; all of them by default.
        sweeps: whether faults that have a size are tried at smaller ones too.
        budget: seconds for the faults of a subject; None for all of them.

    Raises:
        UserError: a subject or fault is unknown.
    """
    chosen = [fault.name for fault in reference(names)]
    for subject in subjects:
        find(subject)
    workers = min(len(subjects), os.cpu_count() or 1)
    if workers == 1:
        parts = [_of_subject(subject, chosen, sweeps, budget) for subject in subjects]
    else:
        with pool(workers) as processes:
            jobs = [
                processes.submit(_of_subject, each, chosen, sweeps, budget) for each in subjects
            ]
            parts = [job.result() for job in jobs]
    return Power(
        tuple(trial for part in parts for trial in part.trials),
        tuple(control for part in parts for control in part.controls),
        {name: reason for part in parts for name, reason in part.left_out.items()},
    )


def reference(names: Sequence[str] | None = None) -> list[Fault]:
    """The faults of the table whose artifacts can be made here, or those that are named."""
    every = all_faults()
    return _named([fault for fault in every if not missing(fault.artifact)], names, every)


def standard(spec: Spec, artifacts: Sequence[str], names: Sequence[str] | None) -> list[Fault]:
    """The standard faults of any model, or those that are named."""
    return _named(faults_of(spec, artifacts), names)


def power_of(
    workspace: Workspace,
    artifacts: Sequence[str],
    names: Sequence[str] | None = None,
    sweeps: bool = False,
    budget: float | None = None,
) -> Power:
    """Inject the standard faults in the artifacts of any model, beside the untouched artifacts.

    Args:
        workspace: a good one.
        artifacts: those that can be made.
        names: only these faults, or patterns; all of them by default.
        sweeps: whether faults that have a size are tried at smaller ones too.
        budget: seconds for the faults; None for all of them.

    Raises:
        UserError: a fault is unknown.
    """
    faults = standard(workspace.spec, artifacts, names)
    few = replace(workspace, subject=limited(workspace.subject))
    good = prepared(few, artifacts)
    controls = tuple(control(good, name) for name in artifacts)
    return _injected(good, faults, controls, sweeps, budget)


def _named(
    faults: Sequence[Fault], names: Sequence[str] | None, every: Sequence[Fault] = ()
) -> list[Fault]:
    if names is None:
        return list(faults)
    every, found = every or faults, dict[str, Fault]()
    for name in names:
        fits = {fault.name: fault for fault in every if fnmatchcase(fault.name, name)}
        if not fits:
            raise UserError(
                f"Expected the name of a fault; '{name}' is none of {len(every)} (--list)."
            )
        found |= fits
    return list(found.values())


def _of_subject(subject: str, names: Sequence[str], sweeps: bool, budget: float | None) -> Power:
    with Reference() as process:
        # One thread: subjects run side by side, and threads that wait for each other take longer.
        found = find(subject)
        workspace = prepared(Workspace(limited(found), process, threads=1))
        # Controls on every image: a change of accuracy on a thousand says little.
        whole = Workspace(found, process)
        controls = tuple(control(whole, name) for name in available())
        return _injected(workspace, reference(names), controls, sweeps, budget)


def _injected(
    good: Workspace,
    faults: Sequence[Fault],
    controls: tuple[Control, ...],
    sweeps: bool,
    budget: float | None,
) -> Power:
    trials, left_out, began = list[Trial](), dict[str, str](), time.monotonic()
    with stage(f"{good.subject.name}: injecting {len(faults)} faults") as injecting:
        for index, fault in enumerate(faults):
            spent = time.monotonic() - began
            if budget is not None and spent > budget:
                left_out[fault.name] = OVER
                continue
            rest = spent / max(len(trials), 1) * (len(faults) - index)
            rest = rest if budget is None else min(rest, budget - spent)
            injecting.note = f"{fault.name}, {index + 1} of {len(faults)}"
            injecting.note += f", about {rest / 60:.0f} min left" if trials else ""
            try:
                trials.append(trial(good, fault, sweeps, controls))
            except NotInjectable as reason:
                left_out[fault.name] = str(reason)
    return Power(tuple(trials), controls, left_out)


def limited(subject: Subject) -> Subject:
    """The subject with its first 1,000 test images."""
    test = subject.test
    if test is None or len(test) <= IMAGES:
        return subject
    return replace(subject, test=test.subset(np.arange(IMAGES)))


def prepared(workspace: Workspace, artifacts: Sequence[str] | None = None) -> Workspace:
    """The workspace with all that faults share made beforehand: artifacts, truth, Keras's outputs.

    Args:
        workspace: a good one; whatever it lacks is made.
        artifacts: those that are asked about; all that are installed by default.
    """
    for name in available() if artifacts is None else artifacts:
        workspace.outputs(name)
    _ = workspace.truth, workspace.layers
    return workspace
