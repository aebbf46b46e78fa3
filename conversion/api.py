"""The public functions; the command line and the fixtures are callers of the same parts."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conversion import report as reports
from conversion.artifact import Artifact, Store
from conversion.backends import backend
from conversion.checks.accuracy import Tally
from conversion.detection import Power
from conversion.detection import power as measure_power
from conversion.errors import UserError
from conversion.journal import LOG
from conversion.judging import File, approved, chosen, described, export, judge, known, opened
from conversion.measurement import Measurement
from conversion.search.document import document as as_plain
from conversion.search.search import Choice, Found
from conversion.search.search import search as run_search
from conversion.settings import Settings
from conversion.subjects import SUBJECTS, Absent, find
from conversion.subjects.preprocessing import Preprocessing
from conversion.verification.case import Case
from conversion.verification.margins import not_answers


def convert(
    model: File,
    *,
    backends: Sequence[str] = ("onnx-fp32", "torch-fp32"),
    settings: Settings | None = None,
    out: File | None = None,
    store: Store | None = None,
    custom: Sequence[File] = (),
) -> dict[str, Artifact]:
    """Convert a Keras model.

    Args:
        model: a Keras file, or the name of a subject.
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
    model: File,
    *,
    data: File | None = None,
    preprocessing: Preprocessing | None = None,
    backends: Sequence[str] = ("onnx-int8", "torch-int8"),
    settings: Settings | None = None,
    out: File | None = None,
    store: Store | None = None,
    custom: Sequence[File] = (),
) -> dict[str, Artifact]:
    """Quantize a Keras model to int8, from a calibration set of training images.

    Args:
        model: a Keras file, or the name of a subject.
        data: images, with labels or without: a `.npz` in Keras's naming, a folder or a Python file,
            which is executed; a subject brings its own.
        preprocessing: what is done to the images of `data`, once, when they are read.
        backends: what to make: ``onnx-int8``, ``torch-int8``.
        settings: the choices: schemes, calibration.
        out: a folder for the files, their provenance and `conversion.log`; None leaves the files
            in the store.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them; see
            docs/custom.md.

    Returns:
        Backend name to artifact.

    Raises:
        UserError: as `convert`, or there are no images to calibrate on, or one of them is also in
            the evaluation set.
    """
    return _make(model, data, preprocessing, backends, settings, out, store, custom)


def evaluate(
    model: File,
    *,
    data: File | None = None,
    preprocessing: Preprocessing | None = None,
    backends: Sequence[str] | None = None,
    artifacts: Mapping[str, File] | None = None,
    settings: Settings | None = None,
    progress: bool = False,
    store: Store | None = None,
    custom: Sequence[File] = (),
) -> dict[str, Tally]:
    """Count the right answers of every artifact on the evaluation images.

    Args:
        model: a Keras file, or the name of a subject.
        data: images, with labels or without: a `.npz` in Keras's naming, a folder or a Python file,
            which is executed; a subject brings its own.
        preprocessing: what is done to the images of `data`, once, when they are read.
        backends: what to evaluate; by default all that are installed.
        artifacts: files made elsewhere, by the backend that they stand in for.
        settings: the choices.
        progress: whether to say on stderr what takes long.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them; see
            docs/custom.md.

    Returns:
        Backend name to tally: counts, by class, confusion matrix.

    Raises:
        UserError: as `convert`, or there are no labelled images.
    """
    with opened(
        model, data, artifacts, settings, None, store, progress, custom, preprocessing
    ) as workspace:
        names = chosen(backends, workspace)
        if workspace.test.labels is None:
            raise UserError(
                "Expected labelled images to evaluate on; the data has no labels: `verify` judges "
                "agreement without them."
            )
        if reason := not_answers(Case(workspace, names[0])):
            raise UserError(f"Expected class scores to count right answers; {reason}.")
        return {name: Case(workspace, name).tally(name)[0] for name in names}


@dataclass(frozen=True, eq=False)
class Verification:
    """What `verify` found.

    Attributes:
        measurements: every measurement, in the order in which they were made.
        document: what `report.json` holds.
        table: the table for a terminal.
    """

    measurements: tuple[Measurement, ...]
    document: Mapping[str, Any]
    table: str

    def exit_code(self, allow_undecided: bool = False) -> int:
        """0 when all pass, 1 when a check fails or parity or accuracy is undecided."""
        return reports.exit_code(self.measurements, allow_undecided)


def verify(
    model: File,
    *,
    data: File | None = None,
    preprocessing: Preprocessing | None = None,
    artifacts: Mapping[str, File] | None = None,
    backends: Sequence[str] | None = None,
    topics: Sequence[str] | None = None,
    settings: Settings | None = None,
    report: File | None = None,
    progress: bool = False,
    store: Store | None = None,
    custom: Sequence[File] = (),
) -> Verification:
    """Convert, quantize and judge a model: the checks of the test suite, without pytest.

    Args:
        model: a Keras file, or the name of a subject.
        data: images, with labels or without: a `.npz` in Keras's naming, a folder or a Python file,
            which is executed; a subject brings its own.
        preprocessing: what is done to the images of `data`, once, when they are read.
        artifacts: files made elsewhere, by the backend that they stand in for.
        backends: what to judge; by default all that are installed.
        topics: ``structure``, ``parity``, ``accuracy``, ``quantization``, ``latency``; all of
            them by default.
        settings: the choices.
        report: a folder for `report.json`, `report.html`, `conversion.log` and the artifacts.
        progress: whether to say on stderr what takes long.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them; see
            docs/custom.md.

    Returns:
        The measurements with their verdicts.

    Raises:
        UserError: as `convert`, or a file made elsewhere does not fit the model.
    """
    out = None if report is None else Path(report)
    with opened(
        model, data, artifacts, settings, out, store, progress, custom, preprocessing
    ) as workspace:
        names = chosen(backends, workspace)
        measured, made = [], dict[str, Artifact]()
        for name in names:
            measured += judge(Case(workspace, name), topics, made)
        listed = [described(Case(workspace, name)) for name in made]
        warnings = [w for a in made.values() for w in a.provenance.get("warnings", ())]
        extra = {
            "subject": workspace.subject.name,
            "data": workspace.subject.described,
            "artifacts": listed,
            "warnings": warnings,
        }
        document = reports.as_document(measured, reports.environment(), extra)
        if out is not None:
            export(made, out / "artifacts")
            reports.write(document, out)
            reports.write_page(document, out)
        sizes = {each["label"]: each["size"] for each in listed}
        return Verification(tuple(measured), document, reports.render(measured, sizes))


@dataclass(frozen=True, eq=False)
class Detection:
    """What `power` found.

    Attributes:
        power: every trial and every control.
        table: for a terminal.
    """

    power: Power
    table: str

    def exit_code(self) -> int:
        """0 where every fault was caught and named and no untouched artifact fails, else 1."""
        return self.power.exit_code()


def power(
    subjects: Sequence[str] = (),
    *,
    faults: Sequence[str] | None = None,
    sweeps: bool = True,
    report: File | None = None,
) -> Detection:
    """Plant every known fault in copies of good artifacts, and say which checks catch it.

    Args:
        subjects: ``embedded``, ``mlperf-tiny``; those whose files are here by default.
        faults: only these; all of them by default.
        sweeps: whether to look for the smallest size that is caught, where a fault has a size.
        report: a folder for `power.json`, and for `report.json` and `report.html` of the untouched
            artifacts with the power beside them.

    Returns:
        The trials and the table.

    Raises:
        UserError: a subject or fault is unknown, or a subject's files are not here.
    """
    for name in subjects:
        if name not in SUBJECTS:
            raise UserError(
                f"Expected subjects whose layers the faults know ({', '.join(SUBJECTS)}); got "
                f"'{name}'."
            )
    found = measure_power(list(subjects) or _here(), faults, sweeps)
    document = reports.as_document([], {}, {"power": found.document()})["power"]
    if report is not None:
        measured = [m for control in found.controls for m in control.measurements]
        whole = reports.as_document(measured, reports.environment(), {"power": document})
        reports.place(json.dumps(document, indent=1) + "\n", Path(report) / "power.json")
        reports.write(whole, Path(report))
        reports.write_page(whole, Path(report))
    return Detection(found, reports.render_power(document))


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

    def exit_code(self, allow_undecided: bool = False) -> int:
        """0 where an artifact is recommended and passes, else 1."""
        if self.found.candidate is None:
            return 1
        return reports.exit_code(self.measurements, allow_undecided)


def search(
    model: File,
    *,
    out: File,
    data: File | None = None,
    preprocessing: Preprocessing | None = None,
    choice: Choice | None = None,
    settings: Settings | None = None,
    progress: bool = False,
    store: Store | None = None,
    custom: Sequence[File] = (),
) -> Searched:
    """Find the int8 scheme that is fastest on this machine and costs no accuracy, and judge it.

    It chooses on training images that calibrate nothing, never on test images; the test images are
    for the verdict on what it chose.

    Args:
        model: a Keras file, or the name of a subject.
        out: a folder for the record of the search, `search.json`, the recommended artifact and the
            report on it.
        data: images, with labels or without: a `.npz` in Keras's naming, a folder or a Python file,
            which is executed; a subject brings its own.
        preprocessing: what is done to the images of `data`, once, when they are read.
        choice: which runtimes, what is banned, how long; five minutes of ONNX Runtime by default.
        settings: where the search starts.
        progress: whether to say on stderr what takes long.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them.

    Returns:
        The candidates, the recommendation, and the verdict on it.

    Raises:
        UserError: as `quantize`, or there are too few training images to choose on some.
    """
    choice, folder, began = choice or Choice(), Path(out), time.monotonic()
    with opened(
        model, data, None, settings, folder, store, progress, custom, preprocessing
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
    model: File,
    data: File | None,
    preprocessing: Preprocessing | None,
    backends: Sequence[str],
    settings: Settings | None,
    out: File | None,
    store: Store | None,
    custom: Sequence[File],
) -> dict[str, Artifact]:
    names, folder = known(backends), None if out is None else Path(out)
    with opened(
        model, data, None, settings, folder, store, False, custom, preprocessing
    ) as workspace:
        if workspace.subject.train is None and not all(backend(name).is_float for name in names):
            raise UserError(
                f"{workspace.subject.name} has no images to calibrate on: pass --data FILE."
            )
        made = {name: workspace.artifact(name) for name in names}
        return made if folder is None else export(made, folder)
