"""The public functions; the command line and the fixtures are callers of the same parts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conversion import report as reports
from conversion.artifact import Artifact, Store
from conversion.backends import BACKENDS, backend
from conversion.checks.accuracy import Tally
from conversion.detection import Power
from conversion.detection import power as measure_power
from conversion.errors import MissingDependency, UserError
from conversion.journal import LOG, journal
from conversion.measurement import Measurement, Verdict
from conversion.reference import Reference
from conversion.settings import Settings
from conversion.subjects import SUBJECTS, Absent, find
from conversion.verification import checks
from conversion.verification.case import Case
from conversion.workspace import Workspace

File = str | Path


def convert(
    model: File,
    *,
    backends: Sequence[str] = ("onnx-fp32", "torch-fp32"),
    settings: Settings | None = None,
    out: File | None = None,
    store: Store | None = None,
) -> dict[str, Artifact]:
    """Convert a Keras model.

    Args:
        model: a Keras file, or the name of a subject.
        backends: what to make: ``onnx-fp32``, ``torch-fp32``, ``torch-via-onnx-fp32``.
        settings: the choices, such as the opset.
        out: a folder for the files, their provenance and `conversion.log`; None leaves the files
            in the store.
        store: where finished work is kept between runs.

    Returns:
        Backend name to artifact.

    Raises:
        UserError: the file cannot be read or has what is not supported, or a name is unknown.

    Example:
        >>> made = convert("embedded", backends=["torch-fp32"])
        >>> made["torch-fp32"].path.name
        'torch-fp32.pt'
    """
    return _make(model, None, backends, settings, out, store)


def quantize(
    model: File,
    *,
    data: File | None = None,
    backends: Sequence[str] = ("onnx-int8", "torch-int8"),
    settings: Settings | None = None,
    out: File | None = None,
    store: Store | None = None,
) -> dict[str, Artifact]:
    """Quantize a Keras model to int8, from a calibration set of training images.

    Args:
        model: a Keras file, or the name of a subject.
        data: labelled images: a `.npz` in Keras's naming or a folder; a subject brings its own.
        backends: what to make: ``onnx-int8``, ``torch-int8``.
        settings: the choices: schemes, calibration.
        out: a folder for the files, their provenance and `conversion.log`; None leaves the files
            in the store.
        store: where finished work is kept between runs.

    Returns:
        Backend name to artifact.

    Raises:
        UserError: as `convert`, or there are no images to calibrate on, or one of them is also in
            the evaluation set.
    """
    return _make(model, data, backends, settings, out, store)


def evaluate(
    model: File,
    *,
    data: File | None = None,
    backends: Sequence[str] = tuple(BACKENDS),
    artifacts: Mapping[str, File] | None = None,
    settings: Settings | None = None,
    progress: bool = False,
    store: Store | None = None,
) -> dict[str, Tally]:
    """Count the right answers of every artifact on the evaluation images.

    Args:
        model: a Keras file, or the name of a subject.
        data: labelled images: a `.npz` in Keras's naming or a folder; a subject brings its own.
        backends: what to evaluate.
        artifacts: files made elsewhere, by the backend that they stand in for.
        settings: the choices.
        progress: whether to show a progress bar.
        store: where finished work is kept between runs.

    Returns:
        Backend name to tally: counts, by class, confusion matrix.

    Raises:
        UserError: as `convert`, or there are no labelled images.
    """
    names = _known(backends)
    with _workspace(model, data, artifacts, settings, None, store, progress) as workspace:
        if workspace.test.labels is None:
            raise UserError("Expected labelled images to evaluate on; the data has no labels.")
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
    artifacts: Mapping[str, File] | None = None,
    backends: Sequence[str] = tuple(BACKENDS),
    topics: Sequence[str] | None = None,
    settings: Settings | None = None,
    report: File | None = None,
    progress: bool = False,
    store: Store | None = None,
) -> Verification:
    """Convert, quantize and judge a model: the checks of the test suite, without pytest.

    Args:
        model: a Keras file, or the name of a subject.
        data: labelled images: a `.npz` in Keras's naming or a folder; a subject brings its own.
        artifacts: files made elsewhere, by the backend that they stand in for.
        backends: what to judge.
        topics: ``structure``, ``parity``, ``accuracy``, ``quantization``, ``latency``; all of
            them by default.
        settings: the choices.
        report: a folder for `report.json`, `report.html`, `conversion.log` and the artifacts.
        progress: whether to show progress bars.
        store: where finished work is kept between runs.

    Returns:
        The measurements with their verdicts.

    Raises:
        UserError: as `convert`, or a file made elsewhere does not fit the model.
    """
    names, out = _known(backends), None if report is None else Path(report)
    with _workspace(model, data, artifacts, settings, out, store, progress) as workspace:
        measured, made = [], dict[str, Artifact]()
        for name in names:
            measured += _judge(Case(workspace, name), topics, made)
        listed = [_described(name, artifact) for name, artifact in made.items()]
        warnings = [w for a in made.values() for w in a.provenance.get("warnings", ())]
        extra = {"subject": workspace.subject.name, "artifacts": listed, "warnings": warnings}
        document = reports.as_document(measured, reports.environment(), extra)
        if out is not None:
            _export(made, out / "artifacts")
            reports.write(document, out)
            reports.write_page(document, out)
        sizes = {name: artifact.size for name, artifact in made.items()}
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


def _judge(
    case: Case, topics: Sequence[str] | None, made: dict[str, Artifact]
) -> list[Measurement]:
    """Every check of one artifact; an artifact that cannot be built is a failure of its own."""
    name, brought = case.name, case.name in case.workspace.brought
    if not (case.backend.is_float or brought) and case.workspace.subject.train is None:
        return case.skip("built", "structure", "no images to calibrate on: pass --data FILE")
    try:
        made[name] = case.artifact
        case.workspace.runner(name)
    except MissingDependency:
        raise
    except UserError as error:
        if brought or name == "keras-fp32":
            raise
        LOG.info("%s could not be built: %s", name, error)
        LOG.debug("building %s stopped", name, exc_info=True)
        return case.without_value("built", "structure", Verdict.FAIL, str(error))
    wanted = None if topics is None else tuple(topics)
    measured = [found for check in checks(name, wanted) for found in check.measure(case)]
    for found in measured:
        LOG.debug(found.explain())
    return measured


def _make(
    model: File,
    data: File | None,
    backends: Sequence[str],
    settings: Settings | None,
    out: File | None,
    store: Store | None,
) -> dict[str, Artifact]:
    names, folder = _known(backends), None if out is None else Path(out)
    with _workspace(model, data, None, settings, folder, store, False) as workspace:
        if workspace.subject.train is None and not all(backend(name).is_float for name in names):
            raise UserError(
                f"{workspace.subject.name} has no images to calibrate on: pass --data FILE."
            )
        made = {name: workspace.artifact(name) for name in names}
        return made if folder is None else _export(made, folder)


def _known(backends: Sequence[str]) -> list[str]:
    return [backend(name).name for name in backends]


@contextmanager
def _workspace(
    model: File,
    data: File | None,
    artifacts: Mapping[str, File] | None,
    settings: Settings | None,
    out: Path | None,
    store: Store | None,
    progress: bool,
) -> Iterator[Workspace]:
    brought = {backend(name).name: Path(file) for name, file in (artifacts or {}).items()}
    for name, file in brought.items():
        if not file.is_file():
            raise UserError(f"Expected a {name} file at {file}; there is none.")
    with journal(out) as log, Reference() as reference:
        workspace = Workspace(
            find(str(model), None if data is None else Path(data)),
            reference,
            store or Store(),
            settings or Settings(),
            brought,
            progress,
            log.info,
        )
        _ = workspace.spec  # a file that cannot be read is said before anything is built
        yield workspace


def _described(name: str, artifact: Artifact) -> dict[str, Any]:
    return {
        "name": name,
        "file": artifact.path.name,
        "size": artifact.size,
        "digest": artifact.digest,
        "provenance": dict(artifact.provenance),
    }


def _export(made: Mapping[str, Artifact], folder: Path) -> dict[str, Artifact]:
    """Copy artifacts to a folder under stable names, each in one step, with its provenance."""
    folder.mkdir(parents=True, exist_ok=True)
    exported = {}
    for name, artifact in made.items():
        target = folder / f"{name}{backend(name).suffix}"
        beside = target.with_name(f".{target.name}.part")
        shutil.copyfile(artifact.path, beside)
        os.replace(beside, target)
        notes = json.dumps({"digest": artifact.digest, **artifact.provenance}, indent=1)
        target.with_suffix(".provenance.json").write_text(notes)
        exported[name] = Artifact(name, target, artifact.digest, artifact.provenance)
    return exported
