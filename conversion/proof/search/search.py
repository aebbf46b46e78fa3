"""The search itself: step by step, each from the best so far, until the budget is spent."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from conversion.core import digest
from conversion.core import environment as machine
from conversion.core.artifact import versions
from conversion.core.code import code_digest
from conversion.core.errors import UserError
from conversion.core.progress import Stage, stage
from conversion.core.settings import Settings
from conversion.proof.checks.latency import BUDGET
from conversion.proof.search import candidates
from conversion.proof.search.candidates import SEARCHED, Candidate
from conversion.proof.search.measure import Bench, packages, split
from conversion.proof.search.record import Record
from conversion.proof.search.rows import Recommendation, Row, recommend
from conversion.workspace import Workspace

KEPT = 0.2
"""The share of the budget that is kept for judging what is recommended."""

MOST_IN_FLOAT = 2
"""Layers that are left in float for their sums, one after another."""

COUNTS = (250, 2000)
"""Calibration images that are tried beside the default's."""


@dataclass(frozen=True)
class Choice:
    """What a search is asked for.

    Attributes:
        backends: what may be recommended, ``onnx-int8`` first.
        banned: labels of schemes, or parts of labels, that are not to be tried.
        budget: seconds for all of it.
        resume: whether to go on with the record in the folder.
    """

    backends: tuple[str, ...] = (SEARCHED,)
    banned: tuple[str, ...] = ()
    budget: float = 300.0
    resume: bool = False


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found.

    Attributes:
        rows: every candidate that was measured, in order.
        recommendation: what to take, and why.
        candidate: the choice behind it; None where float32 should be kept.
        workspace: the subject without its selection images, under that choice.
        rejected: candidates that were recommended and then failed a check, with the failure.
        stopped: why the search ended before every step was done; empty where it did not.
        skipped: candidates that could not be built or run, with the reason.
        selection: how many images it chose on.
        seconds: that it took.
    """

    rows: tuple[Row, ...]
    recommendation: Recommendation
    candidate: Candidate | None
    workspace: Workspace
    rejected: Mapping[str, str]
    stopped: str
    skipped: Mapping[str, str]
    selection: int
    seconds: float
    tried: Mapping[str, Candidate] = field(default_factory=dict)

    def without(self, reason: str) -> Found:
        """The same search without its recommendation, which failed a check.

        Args:
            reason: what failed.
        """
        assert self.candidate is not None
        rejected = {**self.rejected, self.candidate.label: reason}
        left = [row for row in self.rows if row.label not in rejected]
        return replace(self, rejected=rejected, **_taken(left, self.tried, self.workspace))

    def without_any(self) -> Found:
        """The same search where nothing is left to recommend."""
        if not self.rejected:
            return self
        reason = (
            f"keep float32: {len(self.rejected)} candidates were recommended and failed a check"
        )
        return replace(self, recommendation=Recommendation(None, reason), candidate=None)


def _taken(
    rows: Sequence[Row], tried: Mapping[str, Candidate], workspace: Workspace
) -> dict[str, Any]:
    """What is recommended of some rows, and the workspace under that choice."""
    recommendation = recommend(rows)
    row = recommendation.row
    candidate = None if row is None else tried[row.label]
    chosen = workspace if candidate is None else workspace.with_settings(candidate.settings)
    return {"recommendation": recommendation, "candidate": candidate, "workspace": chosen}


@dataclass
class _Search:
    bench: Bench
    choice: Choice
    record: Record
    began: float
    stage: Stage
    tried: dict[str, Candidate] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    slowest: float = 0.0
    stopped: str = ""

    @property
    def rows(self) -> list[Row]:
        """What was measured of the candidates that this search tried."""
        return [self.record.rows[label] for label in self.tried if label in self.record.rows]

    def best(self, name: str = SEARCHED) -> Candidate | None:
        """The best candidate of a backend so far; the most faithful one where none is allowed."""
        rows = [row for row in self.rows if row.backend == name]
        if not rows:
            return None
        chosen = recommend(rows).row or max(rows, key=lambda row: (row.agreed, row.sqnr))
        return self.tried[chosen.label]

    def try_all(self, given: Sequence[Candidate]) -> None:
        """Measure candidates until the time is up."""
        for candidate in given:
            if self.stopped or candidate.label in self.tried or self._banned(candidate):
                continue
            left = self.choice.budget * (1 - KEPT) - (time.monotonic() - self.began)
            known = candidate.label in self.record.rows
            if self.rows and not known and left < self.slowest:
                self.stopped = f"the budget of {self.choice.budget:g} s is spent"
                return
            self.tried[candidate.label] = candidate
            if not known:
                self._measure(candidate, left)

    def _measure(self, candidate: Candidate, left: float) -> None:
        start = time.monotonic()
        self.stage.note = f"{candidate.label}, candidate {len(self.tried)}"
        try:
            self.record.add(self.bench.row(candidate, min(BUDGET, max(left, 1.0))))
        except UserError as error:
            self.skipped[candidate.label] = str(error)
        self.slowest = max(self.slowest, time.monotonic() - start)

    def _banned(self, candidate: Candidate) -> bool:
        return any(banned in candidate.label for banned in self.choice.banned)

    def steps(self) -> Iterator[Sequence[Candidate]]:
        """The steps, each drawn up when those before it are done."""
        start = self.bench.workspace.settings
        if SEARCHED in self.choice.backends:
            yield candidates.schemes(start)
            yield from self._without_overflow()
            if best := self.best():
                yield candidates.calibrations(best.settings, self._counts())
            if (best := self.best()) and not self.stopped:
                yield from self._layers(best)
        yield candidates.others(start, self.choice.backends)

    def _without_overflow(self) -> Iterator[Sequence[Candidate]]:
        """What only overflows elsewhere, with the layers that do in float."""
        for _ in range(MOST_IN_FLOAT):
            only = [row for row in self.rows if row.overflows and not row.losing]
            if not only or self.stopped:
                return
            row = max(only, key=lambda each: (each.sqnr, each.agreed))
            yield candidates.without_overflow(self.tried[row.label].settings, row.overflows)

    def _counts(self) -> list[int]:
        train = self.bench.workspace.subject.train
        return [count for count in COUNTS if train is not None and count <= len(train)]

    def _layers(self, best: Candidate) -> Iterator[Sequence[Candidate]]:
        worth = {each.layer: each for each in self.bench.worth(best)}
        single = candidates.layers(best.settings, list(worth.values()))
        yield single
        before = self.record.rows[best.label]
        helpful = [
            candidate.settings.onnx.float_layers[-1]
            for candidate in single
            if (row := self.record.rows.get(candidate.label)) and _helps(row, before)
        ]
        yield candidates.joined(best.settings, helpful, worth)


def _helps(row: Row, before: Row) -> bool:
    """Whether a row is shown to be faster, or keeps more answers and is not shown to be slower."""
    batch = min(row.speed)
    faster = row.speed[batch].low > before.speed[batch].high
    slower = row.speed[batch].high < before.speed[batch].low
    return not row.against and (faster or (row.agreed > before.agreed and not slower))


def search(workspace: Workspace, choice: Choice, folder: Path, began: float) -> Found:
    """Find the scheme that is fastest on this machine and costs no accuracy.

    Args:
        workspace: the model with its data; its settings are where the search starts.
        choice: what is asked for.
        folder: for the record.
        began: when the budget began to run, as `time.monotonic` tells it.

    Raises:
        UserError: there are too few images, a ban leaves nothing to try, or there is no record to
            go on with.
    """
    subject, selection = split(workspace.subject)
    assert subject.train is not None
    start = _start(workspace.settings, len(subject.train))
    inner = workspace.of(subject).with_settings(start)
    record = Record(folder, _identity(inner, selection.digest, choice.backends), choice.resume)
    bench = Bench(inner, selection)
    with stage(f"searching for {choice.budget:g} s at most") as searching:
        running = _Search(bench, choice, record, began, searching)
        for step in running.steps():
            running.try_all(step)
    if not running.rows:
        raise UserError(_nothing(choice.banned, running.skipped))
    return Found(
        rows=tuple(running.rows),
        **_taken(running.rows, running.tried, inner),
        rejected={},
        tried=running.tried,
        stopped=running.stopped,
        skipped=running.skipped,
        selection=len(selection),
        seconds=time.monotonic() - began,
    )


def _start(settings: Settings, train: int) -> Settings:
    """Where the search starts: with no more calibration images than there are."""
    count = min(settings.calibration.count, train)
    return replace(settings, calibration=replace(settings.calibration, count=count))


def _nothing(banned: Collection[str], skipped: Mapping[str, str]) -> str:
    if skipped:
        label, reason = next(iter(skipped.items()))
        return f"No candidate could be built and run; {label}: {reason}"
    return f"Expected at least one scheme to try; {', '.join(banned)} bans all of them."


def _identity(workspace: Workspace, selection: str, backends: Sequence[str]) -> dict[str, Any]:
    """Everything that a measured row depends on."""
    subject = workspace.subject
    assert subject.train is not None
    known = {name: package for name in backends for package in packages(name)}
    return {
        "model": workspace.spec.digest,
        "images": digest.of_settings({"selection": selection, "train": subject.train.digest}),
        "start": workspace.settings.part("calibration"),
        "machine": machine.processor().digest,
        "versions": versions(known.values()),
        "code": code_digest(__name__),
    }
