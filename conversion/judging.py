"""From what was given to a workspace, from a case to its measurements, from artifacts to files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from conversion import custom
from conversion.artifact import Artifact, Store
from conversion.backends import BACKENDS, available, backend
from conversion.console import spoken
from conversion.errors import MissingDependency, UserError
from conversion.journal import LOG, journal
from conversion.measurement import Measurement, Verdict
from conversion.progress import stage
from conversion.readers import read_spec
from conversion.reference import Reference
from conversion.report import place
from conversion.search.search import Found
from conversion.settings import Settings
from conversion.subjects import find
from conversion.subjects.preprocessing import Preprocessing
from conversion.verification import checks
from conversion.verification.case import Case
from conversion.workspace import Workspace

File = str | Path


def judge(case: Case, topics: Sequence[str] | None, made: dict[str, Artifact]) -> list[Measurement]:
    """Every check of one artifact; one that cannot be built is a failure of its own.

    Args:
        case: the artifact.
        topics: only these; all of them by default.
        made: gets the artifact under its backend's name.

    Raises:
        UserError: a file made elsewhere, or the reference itself, cannot be opened.
    """
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
    measured = list[Measurement]()
    for check in checks(name, wanted):
        with stage(f"{case.label}: {check.name}"):
            measured += check.measure(case)
    for found in measured:
        LOG.debug(found.explain())
    return measured


JUDGED = 3
"""Recommendations that a search has judged before it gives up."""


def approved(found: Found) -> tuple[Found, list[Measurement], dict[str, Artifact]]:
    """The first recommendation that fails no check, with its measurements and its file.

    Args:
        found: what a search recommends; the next best follows where a check fails.
    """
    for _ in range(JUDGED):
        if found.candidate is None:
            break
        made = dict[str, Artifact]()
        measured = judge(Case(found.workspace, found.candidate.backend), None, made)
        failures = [m for m in measured if m.verdict is Verdict.FAIL]
        if not failures:
            return found, measured, made
        LOG.info("%s fails: %s", found.candidate.label, failures[0].explain())
        found = found.without(f"recommended, then failed {failures[0].name}: {failures[0].reason}")
    return found.without_any(), [], {}


def known(backends: Sequence[str]) -> list[str]:
    """The names of backends.

    Raises:
        UserError: one of them is unknown.
    """
    return [backend(name).name for name in backends]


def chosen(backends: Sequence[str] | None, workspace: Workspace) -> list[str]:
    """The backends that were asked for, or all that are installed, said where some are not."""
    if backends is not None:
        return known(backends)
    for each in BACKENDS.values():
        if each.missing:
            workspace.announce(f"left out: {each.missing}")
    return available()


@contextmanager
def opened(
    model: File,
    data: File | None,
    artifacts: Mapping[str, File] | None,
    settings: Settings | None,
    out: Path | None,
    store: Store | None,
    progress: bool,
    brings: Sequence[File] = (),
    preprocessing: Preprocessing | None = None,
) -> Iterator[Workspace]:
    """A workspace with its reference process and its log.

    Args:
        model: a Keras file, or the name of a subject.
        data: images; a subject brings its own.
        artifacts: files made elsewhere, by the backend that they stand in for.
        settings: the choices.
        out: where the log goes.
        store: where finished work is kept between runs.
        progress: whether to say on stderr what takes long.
        brings: Python files with layers, executed because the user named them.
        preprocessing: what is done to the images of `data`.

    Raises:
        UserError: the model or the data cannot be read, or a file is not there.
    """
    brought = {backend(name).name: Path(file) for name, file in (artifacts or {}).items()}
    for name, file in brought.items():
        if not file.is_file():
            raise UserError(f"Expected a {name} file at {file}; there is none.")
    with (
        spoken() if progress else nullcontext(),
        journal(out) as log,
        custom.brought(custom.load(brings)) as known_here,
        Reference(custom=known_here.files) as reference,
    ):
        workspace = Workspace(
            find(str(model), None if data is None else Path(data), preprocessing, read_spec),
            reference,
            store or Store(),
            settings or Settings(),
            brought,
            log.info,
        )
        _ = workspace.spec  # a file that cannot be read is said before anything is built
        yield workspace


def described(case: Case) -> dict[str, Any]:
    """What a report says of an artifact."""
    artifact = case.artifact
    return {
        "name": case.name,
        "label": case.label,
        "file": artifact.path.name,
        "size": artifact.size,
        "digest": artifact.digest,
        "provenance": dict(artifact.provenance),
    }


def export(made: Mapping[str, Artifact], folder: Path) -> dict[str, Artifact]:
    """Copy artifacts to a folder under stable names, each in one step, with its provenance.

    Args:
        made: backend name to artifact.
        folder: where to; made where it is missing.

    Returns:
        Backend name to the copy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    exported = {}
    for name, artifact in made.items():
        ending = backend(name).suffix if artifact.brought else artifact.path.suffix
        target = folder / f"{name}{ending}"
        beside = target.with_name(f".{target.name}.part")
        try:
            shutil.copyfile(artifact.path, beside)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
        notes = json.dumps({"digest": artifact.digest, **artifact.provenance}, indent=1)
        place(notes, target.with_suffix(".provenance.json"))
        exported[name] = Artifact(name, target, artifact.digest, artifact.provenance)
    return exported
