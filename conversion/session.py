"""From what was given to a workspace, from a case to its measurements, from artifacts to files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from conversion import custom
from conversion.backends import BACKENDS, REFERENCE, available, backend, missing
from conversion.backends.beside_tensorflow import without_triton
from conversion.core.artifact import Artifact, Store
from conversion.core.console import spoken
from conversion.core.demands import Demands
from conversion.core.errors import Crashed, OutOfMemory, ReferenceCrashed, UserError
from conversion.core.heap import give_back
from conversion.core.journal import LOG, journal
from conversion.core.measurement import Measurement, Verdict
from conversion.core.progress import stage
from conversion.core.running import Running
from conversion.core.settings import Settings
from conversion.proof.checks import Check, checks
from conversion.proof.checks.case import Case
from conversion.proof.checks.unmade import not_made
from conversion.proof.metrics.quantities import BUILT
from conversion.proof.search.search import Found
from conversion.readers import numeric_types
from conversion.reading import read_guarded
from conversion.reference import Reference
from conversion.report import place
from conversion.subjects import Subject, find, open_sizes
from conversion.subjects.arrays import Data, path_or_arrays
from conversion.subjects.keras_object import Model, as_file
from conversion.subjects.preprocessing import Preprocessing
from conversion.subjects.shipped import Shipping
from conversion.subjects.weights_alone import whole
from conversion.workspace import Workspace

File = str | Path


def judge_all(
    workspace: Workspace,
    names: Sequence[str],
    backends: Sequence[str] | None,
    topics: Sequence[str] | None,
) -> tuple[list[Measurement], dict[str, Artifact]]:
    """Every check of several artifacts.

    Args:
        workspace: the model that they come from.
        names: the artifacts' backends.
        backends: those that the user named; they are made before anything is judged.
        topics: only these; all of them by default.

    Returns:
        The measurements, and the artifacts that were made by their backends.

    Raises:
        UserError: one that the user named cannot be made, or as `not_made`, or the budget of memory
            is too small.
    """
    _ = workspace.streaming  # refused before anything is made
    named = known(backends or ())
    cases = {name: Case(workspace, name) for name in (*named, *names)}
    # All are made before one is judged: Keras's process is large once it has converted, and can
    # end the sooner.
    for name, case in cases.items():
        reason = not_made(case)
        if reason and name in named:
            raise UserError(f"{name} cannot be made: {reason}")
    if workspace.reference.memory > workspace.memory // 4:  # it is smaller where it starts anew
        workspace.reference.close()
    made = dict[str, Artifact]()
    measured = list[Measurement]()
    for index, name in enumerate(names, 1):
        measured += judge(cases.pop(name), topics, made)
        workspace.runs.forget(name)
        left = names[index:]
        if left and name != REFERENCE and _without_keras(workspace, left, topics):
            workspace.reference.close()
    return measured, made


def _without_keras(
    workspace: Workspace, names: Sequence[str], topics: Sequence[str] | None
) -> bool:
    """Whether artifacts are judged without Keras, which has been asked for its noise.

    They cannot be made or are made, no ranges of int8 are compared with Keras's, and no layer's
    truth is Keras's own.
    """
    ranges = topics is None or "quantization" in topics
    asked = any(not backend(name).is_float for name in names) and ranges
    return workspace.spec.custom.by_keras is None and not asked


def judge(case: Case, topics: Sequence[str] | None, made: dict[str, Artifact]) -> list[Measurement]:
    """Every check of one artifact; one that cannot be made is skipped with the reason.

    Args:
        case: the artifact.
        topics: only these; all of them by default.
        made: gets the artifact under its backend's name.

    Raises:
        UserError: as `not_made`, or an external file does not fit the model.
    """
    name = case.name
    if reason := not_made(case):
        LOG.info("skipped: %s: %s", name, reason)
        return case.skip(BUILT, reason)
    made[name] = case.artifact
    try:
        case.workspace.runner(name)
    except UserError as error:
        crashed = isinstance(error, Crashed)  # the failure of a file that does fit
        given = name in case.workspace.external or name == REFERENCE
        if isinstance(error, OutOfMemory) or (given and not crashed):
            raise
        LOG.debug("opening %s stopped", name, exc_info=True)
        return [case.about.measure(BUILT, reason=case.why(error), verdict=Verdict.FAIL)]
    wanted = None if topics is None else tuple(topics)
    measured = list[Measurement]()
    for check in checks(name, wanted):
        with stage(f"{case.label}: {check.name}"):
            measured += _measured(check, case)
        give_back()
    for found in measured:
        LOG.debug(found.explain())
    return measured


def _measured(check: Check, case: Case) -> list[Measurement]:
    """A check's measurements; a fault in it must not take every other verdict with it."""
    try:
        return check.measure(case)
    except (UserError, ReferenceCrashed, MemoryError):
        raise
    except Exception as error:
        LOG.debug("%s: %s stopped", case.label, check.name, exc_info=True)
        return [check.stopped(case, error)]


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
        failures = [m for m in measured if m.verdict is Verdict.FAIL or m.name == BUILT.name]
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
    """The backends that were asked for, or all that are installed, said where some are not.

    An external file is judged whether its backend was asked for or not, and so is the reference,
    where it is asked for the answers to images as they ship.

    Raises:
        UserError: a name is unknown, or what runs an external file is not installed.
    """
    for name in workspace.external:
        if reason := missing(name):
            raise UserError(f"{reason}.")
    if backends is not None:
        asked = () if workspace.subject.shipped is None else (REFERENCE,)
        return list(dict.fromkeys([*asked, *known(backends), *workspace.external]))
    for name in BACKENDS:
        if reason := missing(name):
            workspace.announce(f"left out: {reason}")
    return available()


@contextmanager
def opened(
    model: Model,
    *,
    data: Data | None = None,
    preprocessing: Preprocessing | None = None,
    shipping: Shipping | None = None,
    artifacts: Mapping[str, File] | None = None,
    backends: Sequence[str] | None = None,
    settings: Settings | None = None,
    demands: Demands | None = None,
    running: Running | None = None,
    custom_files: Sequence[File] = (),
    replace: Sequence[str] = (),
    out: Path | None = None,
    store: Store | None = None,
    progress: bool = False,
) -> Iterator[Workspace]:
    """A workspace with its reference process and its log.

    Args:
        model: a Keras file, the name of a subject, or a Keras model in memory.
        data: a file or arrays of images, or the word ``synthetic``; a subject brings its own.
        preprocessing: what is done to the images of `data`.
        shipping: the preprocessing that is compared with it; none by default.
        artifacts: external files, by the backend that they stand in for.
        backends: those that the user named, whose names are checked before anything is read.
        settings: the choices.
        demands: what the user allows and asks for beside being right.
        running: threads, memory and seed.
        custom_files: Python files with layers, executed because the user named them.
        replace: layers in place of those of the file, as `--replace` has them.
        out: where the log goes.
        store: where finished work is kept between runs.
        progress: whether to say on stderr what takes long.

    Raises:
        UserError: a backend is unknown, the model or the data cannot be read, or a file is not
            there.
    """
    known(backends or ())
    external = external_files(artifacts or {})
    with (
        without_triton(),
        as_file(model) as given,
        spoken() if progress else nullcontext(),
        journal(out) as log,
        ExitStack() as opening,
    ):
        own = custom.load(custom_files, replace)
        reference = opening.enter_context(Reference(custom=own.files))
        file_or_name = opening.enter_context(whole(given, own, reference))
        images = None if data is None else path_or_arrays(data)
        subject = find(file_or_name, images, preprocessing, own, read_guarded, shipping)
        sizes = open_sizes.words(subject.spec, subject.test is not None)
        for said in (*numeric_types.words(subject.spec.layers), *sizes):
            log.info(said)
        yield workspace_of(
            subject,
            reference,
            external=external,
            settings=settings,
            demands=demands,
            running=running,
            store=store,
            announce=log.info,
        )


def workspace_of(
    subject: Subject,
    reference: Reference,
    *,
    external: Mapping[str, Path],
    settings: Settings | None,
    demands: Demands | None,
    running: Running | None,
    store: Store | None,
    announce: Callable[[str], None],
) -> Workspace:
    """The workspace that the options of a run describe; what is None has its default.

    Args:
        subject: the model under test with its data.
        reference: the process that runs Keras.
        external: external files, by the backend that they stand in for.
        settings: the choices.
        demands: what the user allows and asks for beside being right.
        running: threads, memory and seed.
        store: where finished work is kept between runs.
        announce: told what is left out or warned of, one line a time.

    Raises:
        UserError: the settings name layers that the model does not have.
    """
    run = running or Running()
    return Workspace(
        subject,
        reference,
        store or Store(),
        (settings or Settings()).seeded(run.seed),
        external,
        announce,
        run.threads or os.cpu_count() or 1,
        demands or Demands(),
        run.seed,
        run.budget,
    )


def external_files(given: Mapping[str, File]) -> dict[str, Path]:
    """External files, by the backend that they stand in for.

    Raises:
        UserError: a backend is unknown, or a file is not there.
    """
    files = {backend(name).name: Path(file) for name, file in given.items()}
    for name, file in files.items():
        if not file.is_file():
            raise UserError(f"Expected a {name} file at {file}; there is none.")
    return files


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
        endings = backend(name).endings
        ending = endings[0] if artifact.external and endings else artifact.path.suffix
        target = folder / f"{name}{ending}"
        beside = tuple(_beside(path, artifact, target, endings) for path in artifact.beside)
        for source, copy in zip((*artifact.beside, artifact.path), (*beside, target), strict=True):
            _copy(source, copy)
        notes = json.dumps({"digest": artifact.digest, **artifact.provenance}, indent=1)
        place(notes, target.with_suffix(".provenance.json"))
        exported[name] = replace(artifact, path=target, beside=beside, external=False)
    return exported


def _beside(path: Path, artifact: Artifact, target: Path, endings: Sequence[str]) -> Path:
    """Where a file goes that lies beside an artifact's first: what the first names keeps its name.

    Files that belong together by their stem change it together.
    """
    if path == artifact.path.with_suffix(path.suffix) and path.suffix in endings[1:]:
        return target.with_suffix(path.suffix)
    return target.parent / path.relative_to(artifact.path.parent)


def _copy(source: Path, target: Path) -> None:
    """Copy a file in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, beside)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
