"""The public functions; the command line and the fixtures are callers of the same parts.

A model may be a subject's name, a path, or a `keras.Model` in memory. That one is saved to a
temporary folder for as long as the call takes, and the subject has the model's own name; data may
be arrays. See docs/python.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from conversion import report as reports
from conversion.backends import backend
from conversion.backends.beside_tensorflow import without_triton
from conversion.core.artifact import Artifact, Store
from conversion.core.demands import Demands
from conversion.core.errors import UserError
from conversion.core.journal import LOG
from conversion.core.measurement import Measurement
from conversion.core.running import Running
from conversion.core.settings import Settings
from conversion.proof.checks.case import Case
from conversion.proof.checks.margins import not_answers
from conversion.proof.checks.unmade import not_made
from conversion.proof.faults.fault import Fault
from conversion.proof.faults.power import Power, power_of, reference, standard
from conversion.proof.faults.power import power as measure_power
from conversion.proof.metrics.accuracy import Tally
from conversion.proof.search.document import document as as_plain
from conversion.proof.search.search import Choice, Found
from conversion.proof.search.search import search as run_search
from conversion.session import (
    File,
    approved,
    chosen,
    described,
    export,
    judge_all,
    known,
    opened,
)
from conversion.subjects import SUBJECTS, Absent, find
from conversion.subjects.arrays import Data
from conversion.subjects.keras_object import Model
from conversion.subjects.preprocessing import Preprocessing
from conversion.workspace import Workspace


def convert(
    model: Model,
    *,
    backends: Sequence[str] = ("onnx-fp32", "torch-fp32"),
    settings: Settings | None = None,
    out: File | None = None,
    store: Store | None = None,
    custom: Sequence[File] = (),
) -> dict[str, Artifact]:
    """Convert a Keras model.

    With a `keras.Model` in memory TensorFlow is in the caller's process already; the reference runs
    in a process of its own all the same.

    Args:
        model: a Keras file, the name of a subject, or a `keras.Model` in memory.
        backends: what to make: ``onnx-fp32``, ``torch-fp32``, ``torch-via-onnx-fp32``.
        settings: the choices, such as the opset.
        out: a folder for the files, their provenance and `conversion.log`; None leaves the files
            in the store.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them; see
            docs/custom.md.

    Returns:
        Backend name to artifact.

    Raises:
        UserError: the file cannot be read or has what is not supported, or a name is unknown.

    Example:
        >>> made = convert("embedded", backends=["torch-fp32"])
        >>> made["torch-fp32"].path.name
        'torch-fp32.pt'
    """
    return _make(model, None, None, backends, settings, out, store, custom)


def quantize(
    model: Model,
    *,
    data: Data | None = None,
    preprocessing: Preprocessing | None = None,
    backends: Sequence[str] = ("onnx-int8", "torch-int8"),
    settings: Settings | None = None,
    out: File | None = None,
    store: Store | None = None,
    custom: Sequence[File] = (),
    running: Running | None = None,
) -> dict[str, Artifact]:
    """Quantize a Keras model to int8, from a calibration set of training images.

    Args:
        model: a Keras file, the name of a subject, or a `keras.Model` in memory.
        data: images, with labels or without: arrays ``x``, ``(x, y)`` or by Keras's names, a
            `.npz`, a folder or a Python file, which is executed; a subject brings its own.
        preprocessing: what is done to the images of `data`, once, when they are read.
        backends: what to make: ``onnx-int8``, ``torch-int8``.
        settings: the choices: schemes, calibration.
        out: a folder for the files, their provenance and `conversion.log`; None leaves the files
            in the store.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them; see
            docs/custom.md.
        running: the seed of the calibration images where the settings have none.

    Returns:
        Backend name to artifact.

    Raises:
        UserError: as `convert`, or there are no images to calibrate on, or one of them is also in
            the evaluation set.
    """
    return _make(model, data, preprocessing, backends, settings, out, store, custom, running)


def evaluate(
    model: Model,
    *,
    data: Data | None = None,
    preprocessing: Preprocessing | None = None,
    backends: Sequence[str] | None = None,
    artifacts: Mapping[str, File] | None = None,
    settings: Settings | None = None,
    progress: bool = False,
    store: Store | None = None,
    custom: Sequence[File] = (),
    running: Running | None = None,
) -> dict[str, Tally]:
    """Count the right answers of every artifact on the evaluation images.

    Args:
        model: a Keras file, the name of a subject, or a `keras.Model` in memory.
        data: images, with labels or without: arrays ``x``, ``(x, y)`` or by Keras's names, a
            `.npz`, a folder or a Python file, which is executed; a subject brings its own.
        preprocessing: what is done to the images of `data`, once, when they are read.
        backends: what to evaluate; by default all that are installed.
        artifacts: external files, by the backend that they stand in for.
        settings: the choices.
        progress: whether to say on stderr what takes long.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them; see
            docs/custom.md.
        running: threads, memory and seed.

    Returns:
        Backend name to tally: counts, by class, confusion matrix.

    Raises:
        UserError: as `convert`, or there are no labelled images.
    """
    with opened(
        model,
        data=data,
        preprocessing=preprocessing,
        artifacts=artifacts,
        settings=settings,
        running=running,
        custom_files=custom,
        store=store,
        progress=progress,
    ) as workspace:
        names = chosen(backends, workspace)
        if workspace.test.labels is None:
            raise UserError(
                "Expected labelled images to evaluate on; the data has no labels: `verify` judges "
                "agreement without them."
            )
        if reason := not_answers(Case(workspace, names[0])):
            raise UserError(f"Expected class scores to count right answers; {reason}.")
        counted = {}
        for case in (Case(workspace, name) for name in names):
            if backends is None and (reason := not_made(case)):
                workspace.announce(f"skipped: {case.name}: {reason}")
            else:
                counted[case.name] = case.tally(case.name)[0]
        return counted


@dataclass(frozen=True, eq=False)
class Verification:
    """What `verify` found.

    Attributes:
        measurements: every measurement, in the order in which they were made.
        document: what `report.json` holds.
        table: the table for a terminal.
        demands: what was allowed and asked for.
    """

    measurements: tuple[Measurement, ...]
    document: Mapping[str, Any]
    table: str
    demands: Demands = field(default_factory=Demands)

    def __bool__(self) -> bool:
        """Whether it passed: the exit code is 0."""
        return self.exit_code() == 0

    def __repr__(self) -> str:
        subjects = ", ".join(dict.fromkeys(m.subject for m in self.measurements)) or "nothing"
        found = reports.counted(self.measurements)
        return f"<Verification of {subjects}: {found}; exit {self.exit_code()}>"

    def exit_code(self, allow_undecided: bool = False) -> int:
        """0 passed, 1 converted wrongly, 2 nothing judged, 3 costs too much, 4 undecided."""
        allowed = allow_undecided or self.demands.allow_undecided
        return reports.exit_code(self.measurements, replace(self.demands, allow_undecided=allowed))


def verify(
    model: Model,
    *,
    data: Data | None = None,
    preprocessing: Preprocessing | None = None,
    artifacts: Mapping[str, File] | None = None,
    backends: Sequence[str] | None = None,
    topics: Sequence[str] | None = None,
    settings: Settings | None = None,
    demands: Demands | None = None,
    report: File | None = None,
    progress: bool = False,
    store: Store | None = None,
    custom: Sequence[File] = (),
    running: Running | None = None,
) -> Verification:
    """Convert, quantize and judge a model: the checks of the test suite, without pytest.

    With a `keras.Model` in memory TensorFlow is in the caller's process already; the reference runs
    in a process of its own all the same.

    Args:
        model: a Keras file, the name of a subject, or a `keras.Model` in memory.
        data: images, with labels or without: arrays ``x``, ``(x, y)`` or by Keras's names, a
            `.npz`, a folder or a Python file, which is executed; a subject brings its own.
        preprocessing: what is done to the images of `data`, once, when they are read.
        artifacts: external files, by the backend that they stand in for.
        backends: what to judge; by default all that are installed, and what cannot be made of this
            model is skipped with the reason.
        topics: ``structure``, ``parity``, ``accuracy``, ``quantization``, ``latency``; all of
            them by default.
        settings: the choices.
        demands: how much int8 may cost, and what else is allowed or asked for.
        report: a folder for `report.json`, `report.html`, `conversion.log` and the artifacts.
        progress: whether to say on stderr what takes long.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them; see
            docs/custom.md.
        running: threads, memory and seed.

    Returns:
        The measurements with their verdicts.

    Raises:
        UserError: as `convert`, or an external file does not fit the model, or a backend that
            was named cannot be made.
    """
    out = None if report is None else Path(report)
    with opened(
        model,
        data=data,
        preprocessing=preprocessing,
        artifacts=artifacts,
        settings=settings,
        demands=demands,
        running=running,
        custom_files=custom,
        out=out,
        store=store,
        progress=progress,
    ) as workspace:
        names = chosen(backends, workspace)
        measured, made = judge_all(workspace, names, backends, topics)
        outcome = reports.outcome(measured, workspace.demands)
        listed = [described(Case(workspace, name)) for name in made]
        warnings = [w for a in made.values() for w in a.provenance.get("warnings", ())]
        extra = {
            "subject": workspace.subject.name,
            "data": workspace.subject.described,
            "artifacts": listed,
            "warnings": warnings,
            "demands": asdict(workspace.demands),
            "outcome": asdict(outcome),
        }
        document = reports.as_document(measured, reports.environment(), extra)
        if out is not None:
            export(made, out / "artifacts")
            reports.write(document, out)
            reports.write_page(document, out)
        sizes = {each["label"]: each["size"] for each in listed}
        table = reports.render(measured, sizes, outcome)
        return Verification(tuple(measured), document, table, workspace.demands)


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
            settings=settings,
            running=running,
            custom_files=custom,
            store=store,
        ) as workspace:
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
) -> list[Fault]:
    """The faults that `power` would inject, in its order; nothing is converted.

    Args:
        subjects: as `power` takes them.
        faults: only these, or patterns; all of them by default.
        data: int8 artifacts have faults only where there are images.
        backends: for a model of your own, only these artifacts; all that are installed by default.
        custom: Python files with layers of your own, executed because you name them.

    Raises:
        UserError: as `power`.
    """
    own = _own_model(subjects)
    if own is None:
        return reference(faults)
    with opened(own, data=data, custom_files=custom) as workspace:
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


@dataclass(frozen=True, eq=False)
class Searched:
    """What `search` found, and what the checks say of it.

    Attributes:
        found: every candidate with its measurements, and the recommendation.
        measurements: of the recommended artifact, which is judged like any other.
        document: what `search.json` holds.
        table: the candidates and the verdict on the recommended one, for a terminal.
    """

    found: Found
    measurements: tuple[Measurement, ...]
    document: Mapping[str, Any]
    table: str

    def __bool__(self) -> bool:
        """Whether it passed: the exit code is 0."""
        return self.exit_code() == 0

    def __repr__(self) -> str:
        chosen = self.found.candidate
        taken = "keeps float32" if chosen is None else f"recommends {chosen.label}"
        found = reports.counted(self.measurements)
        return f"<Searched: {taken}: {found}; exit {self.exit_code()}>"

    def exit_code(self, allow_undecided: bool = False) -> int:
        """As of `Verification`; 2 where no artifact is recommended."""
        return reports.exit_code(self.measurements, Demands(allow_undecided=allow_undecided))


def search(
    model: Model,
    *,
    out: File,
    data: Data | None = None,
    preprocessing: Preprocessing | None = None,
    choice: Choice | None = None,
    settings: Settings | None = None,
    progress: bool = False,
    store: Store | None = None,
    custom: Sequence[File] = (),
    running: Running | None = None,
) -> Searched:
    """Find the int8 scheme that is fastest on this machine and costs no accuracy, and judge it.

    It chooses on training images that calibrate nothing, never on test images; the test images are
    for the verdict on what it chose.

    Args:
        model: a Keras file, the name of a subject, or a `keras.Model` in memory.
        out: a folder for the record of the search, `search.json`, the recommended artifact and the
            report on it.
        data: images, with labels or without: arrays ``x``, ``(x, y)`` or by Keras's names, a
            `.npz`, a folder or a Python file, which is executed; a subject brings its own.
        preprocessing: what is done to the images of `data`, once, when they are read.
        choice: which runtimes, what is banned, how long; five minutes of ONNX Runtime by default.
        settings: where the search starts.
        progress: whether to say on stderr what takes long.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them.
        running: threads, memory and seed.

    Returns:
        The candidates, the recommendation, and the verdict on it.

    Raises:
        UserError: as `quantize`, or there are too few training images to choose on some.
    """
    choice, folder, began = choice or Choice(), Path(out), time.monotonic()
    with opened(
        model,
        data=data,
        preprocessing=preprocessing,
        settings=settings,
        running=running,
        custom_files=custom,
        out=folder,
        store=store,
        progress=progress,
    ) as workspace:
        found = run_search(workspace, choice, folder, began)
        found, measured, made = approved(found)
        export(made, folder / "artifacts")
        plain = reports.as_document([], {}, {"search": as_plain(found, choice)})["search"]
        reports.place(json.dumps(plain, indent=1) + "\n", folder / "search.json")
        listed = [described(Case(found.workspace, name)) for name in made]
        extra = {"subject": workspace.subject.name, "artifacts": listed, "search": plain}
        document = reports.as_document(measured, reports.environment(), extra)
        reports.write(document, folder)
        reports.write_page(document, folder)
        sizes = {each["label"]: each["size"] for each in listed}
        verdict = f"\n\n{reports.render(measured, sizes)}" if measured else ""
        return Searched(found, tuple(measured), plain, reports.render_search(plain) + verdict)


def _make(
    model: Model,
    data: Data | None,
    preprocessing: Preprocessing | None,
    backends: Sequence[str],
    settings: Settings | None,
    out: File | None,
    store: Store | None,
    custom: Sequence[File],
    running: Running | None = None,
) -> dict[str, Artifact]:
    names, folder = known(backends), None if out is None else Path(out)
    with opened(
        model,
        data=data,
        preprocessing=preprocessing,
        settings=settings,
        running=running,
        custom_files=custom,
        out=folder,
        store=store,
    ) as workspace:
        if workspace.subject.train is None and not all(backend(name).is_float for name in names):
            raise UserError(
                f"{workspace.subject.name} has no images to calibrate on: pass --data FILE."
            )
        made = {name: workspace.artifact(name) for name in names}
        return made if folder is None else export(made, folder)
