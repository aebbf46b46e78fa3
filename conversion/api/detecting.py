"""Which checks catch a known fault in a model's artifacts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conversion import report as reports
from conversion.backends import backend
from conversion.backends.beside_tensorflow import without_triton
from conversion.core.artifact import Store
from conversion.core.errors import UserError
from conversion.core.journal import LOG
from conversion.core.running import Running
from conversion.core.settings import Settings
from conversion.proof.checks.case import Case
from conversion.proof.checks.unmade import not_made
from conversion.proof.faults.fault import Fault
from conversion.proof.faults.power import Power, power_of, reference, standard
from conversion.proof.faults.power import power as measure_power
from conversion.session import (
    File,
    chosen,
    opened,
)
from conversion.subjects import SUBJECTS, Absent, find
from conversion.subjects.arrays import Data
from conversion.subjects.keras_object import Model
from conversion.subjects.preprocessing import Preprocessing
from conversion.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Detection:
    """What `power` found.

    Attributes:
        power: every trial and every control.
        table: for a terminal.
    """

    power: Power
    table: str

    def __bool__(self) -> bool:
        """Whether it passed: the exit code is 0."""
        return self.exit_code() == 0

    def __repr__(self) -> str:
        trials, controls = self.power.trials, self.power.controls
        caught = sum(trial.caught and trial.localised for trial in trials)
        good = sum(not control.failed for control in controls)
        return (
            f"<Detection: {caught} of {len(trials)} faults caught and named, {good} of "
            f"{len(controls)} untouched artifacts pass; exit {self.exit_code()}>"
        )

    def exit_code(self) -> int:
        """0 where every fault was caught and named and no untouched artifact fails, else 1."""
        return self.power.exit_code()


def power(
    subjects: Sequence[Model] = (),
    *,
    faults: Sequence[str] | None = None,
    sweeps: bool = True,
    report: File | None = None,
    budget: float | None = None,
    data: Data | None = None,
    preprocessing: Preprocessing | None = None,
    backends: Sequence[str] | None = None,
    settings: Settings | None = None,
    store: Store | None = None,
    custom: Sequence[File] = (),
    replace: Sequence[str] = (),
    running: Running | None = None,
) -> Detection:
    """Inject known faults in copies of good artifacts, and say which checks catch them.

    A reference subject gets the faults of a table that knows its layers; any other model the
    standard faults of the kinds of layers that it has.

    Args:
        subjects: ``embedded``, ``mlperf-tiny``, by default those whose files are here; or one model
            of your own: a Keras file or a `keras.Model` in memory.
        faults: only these, or patterns such as ``onnx-*``; all of them by default.
        sweeps: whether to look for the smallest size that is caught, where a fault has a size.
        report: a folder for `power.json`, and for `report.json` and `report.html` of the untouched
            artifacts with the power beside them.
        budget: seconds for the faults; those that are left are listed. None injects all.
        data: images for a model of your own, as `verify` takes them.
        preprocessing: what is done to the images of `data`, once, when they are read.
        backends: for a model of your own, the artifacts to inject into; by default all that can be
            made of it.
        settings: the choices for a model of your own.
        store: where finished work of a model of your own is kept between runs.
        custom: Python files with layers of your own, executed because you name them.
        replace: layers in place of those that carry code, as `--replace` has them.
        running: threads and seed for a model of your own.

    Returns:
        The trials and the table.

    Raises:
        UserError: a subject or fault is unknown, a subject's files are not here, or a model of
            your own is not alone.
    """
    own = _own_model(subjects)
    if own is None:
        names = [str(each) for each in subjects] or _here()
        with without_triton():
            found = measure_power(names, faults, sweeps, budget)
    else:
        with opened(
            own,
            data=data,
            preprocessing=preprocessing,
            backends=backends,
            settings=settings,
            running=running,
            custom_files=custom,
            replace=replace,
            store=store,
        ) as workspace:
            standard(workspace.spec, chosen(backends, workspace), faults)  # a wrong name ends here
            made = _made(workspace, backends)
            found = power_of(workspace, made, faults, sweeps, budget)
    document = reports.as_document([], {}, {"power": found.document()})["power"]
    if report is not None:
        measured = [m for control in found.controls for m in control.measurements]
        whole = reports.as_document(measured, reports.environment(), {"power": document})
        reports.place(json.dumps(document, indent=1) + "\n", Path(report) / "power.json")
        reports.write(whole, Path(report))
        reports.write_page(whole, Path(report))
    return Detection(found, reports.render_power(document))


def listed_faults(
    subjects: Sequence[Model] = (),
    *,
    faults: Sequence[str] | None = None,
    data: Data | None = None,
    backends: Sequence[str] | None = None,
    custom: Sequence[File] = (),
    replace: Sequence[str] = (),
) -> list[Fault]:
    """The faults that `power` would inject, in its order; nothing is converted.

    Args:
        subjects: as `power` takes them.
        faults: only these, or patterns; all of them by default.
        data: int8 artifacts have faults only where there are images.
        backends: for a model of your own, only these artifacts; all that are installed by default.
        custom: Python files with layers of your own, executed because you name them.
        replace: layers in place of those that carry code, as `--replace` has them.

    Raises:
        UserError: as `power`.
    """
    own = _own_model(subjects)
    if own is None:
        return reference(faults)
    with opened(
        own, data=data, backends=backends, custom_files=custom, replace=replace
    ) as workspace:
        names = chosen(backends, workspace)
        calibrated = workspace.subject.train is not None
        made = [name for name in names if calibrated or backend(name).is_float]
        return standard(workspace.spec, made, faults)


def _own_model(subjects: Sequence[Model]) -> Model | None:
    """The model that is no reference subject; None where all are."""
    own = [each for each in subjects if not isinstance(each, str) or each not in SUBJECTS]
    if own and len(subjects) > 1:
        raise UserError(
            f"Expected one model of your own, or subjects ({', '.join(SUBJECTS)}); got "
            f"{len(subjects)} models."
        )
    return own[0] if own else None


def _made(workspace: Workspace, backends: Sequence[str] | None) -> list[str]:
    """The artifacts that can be made, said where one cannot; one that was named must be."""
    made = list[str]()
    for name in chosen(backends, workspace):
        reason = not_made(Case(workspace, name))
        if reason and backends is not None:
            raise UserError(f"{name} cannot be made: {reason}")
        if reason:
            LOG.info("skipped: %s: %s", name, reason)
        else:
            made.append(name)
    return made


def _here() -> list[str]:
    """The subjects whose files are on this machine."""
    here = []
    for name in SUBJECTS:
        try:
            find(name)
        except Absent as absent:
            LOG.info("%s", absent)
        else:
            here.append(name)
    return here
