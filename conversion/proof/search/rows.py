"""What a search measured of one candidate, and what speaks for and against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from conversion.proof.metrics import limits

MARGIN = limits.MARGIN.value
AGREEMENT = limits.AGREEMENT.value


@dataclass(frozen=True)
class Speed:
    """How fast a candidate is at one batch size.

    Attributes:
        ratio: times the speed of the float32 baseline.
        low: lower end of its 99 % interval.
        high: upper end.
        verdict: ``faster``, ``slower`` or ``undecided``.
        seconds: of a call, median.
    """

    ratio: float
    low: float
    high: float
    verdict: str
    seconds: float


@dataclass(frozen=True)
class Row:
    """One candidate, measured.

    Attributes:
        label: its scheme in stable words.
        backend: what makes it.
        stage: the step of the search that it belongs to.
        why: why it was tried.
        scheme: its settings, plain values.
        digest: SHA-256 of the file.
        size: bytes of the file.
        memory: bytes by which a process grows when it opens and runs it.
        images: selection images.
        agreed: on how many it gives the float32 baseline's answer.
        agreement: 95 % interval of that share, in percent.
        change: points of top-1 against the baseline; None where there are no labels.
        interval: 95 % interval of the change, in points; None where there are no labels.
        sqnr: of its outputs against the baseline's, in dB.
        speed: batch size to speed.
        overflow: what its sums do on CPUs without VNNI, in words; empty where they fit.
        overflows: the layer whose sums those are; empty where they fit.
        operators: microseconds of one image by operator, as ONNX Runtime profiles the deployed
            graph, the three slowest first; empty for other runtimes.
        record: on what it was measured, and when.
    """

    label: str
    backend: str
    stage: str
    why: str
    scheme: Mapping[str, Any]
    digest: str
    size: int
    memory: float
    images: int
    agreed: int
    agreement: tuple[float, float]
    change: float | None
    interval: tuple[float, float] | None
    sqnr: float
    speed: Mapping[int, Speed]
    overflow: str
    overflows: str
    operators: Mapping[str, float]
    record: Mapping[str, Any]

    @property
    def share(self) -> float:
        """Answers that are the baseline's, in percent."""
        return 100 * self.agreed / self.images

    @property
    def against(self) -> tuple[str, ...]:
        """Why it cannot be recommended, as measured; empty where it can."""
        return (*self.losing, *((self.overflow,) if self.overflow else ()))

    @property
    def losing(self) -> tuple[str, ...]:
        """What is against it on this machine."""
        found = []
        for batch, speed in self.speed.items():
            if speed.verdict == "slower":
                found.append(
                    f"slower than float32 at batch {batch}: {speed.ratio:.2f}x "
                    f"[{speed.low:.2f}, {speed.high:.2f}]"
                )
        if self.interval is not None and self.interval[1] < MARGIN:
            found.append(f"loses {-self.interval[1]:.2f} points of top-1 or more")
        if self.agreement[1] < AGREEMENT:
            found.append(f"gives float32's answer to {self.share:.1f} % only")
        return tuple(found)

    @property
    def unproved(self) -> tuple[str, ...]:
        """What would have to be shown for it and was not; empty where all was."""
        found = [
            f"not shown to be faster at batch {batch}"
            for batch, speed in self.speed.items()
            if speed.verdict == "undecided"
        ]
        if self.interval is not None and self.interval[0] < MARGIN <= self.interval[1]:
            found.append(f"not shown to lose less than {-MARGIN:g} point on {self.images} images")
        return tuple(found)

    def plain(self) -> dict[str, Any]:
        """Plain values, as a record keeps them."""
        return asdict(self)


def from_plain(value: Mapping[str, Any]) -> Row:
    """A row from a record's plain values."""
    speed = {int(batch): Speed(**each) for batch, each in value["speed"].items()}
    interval = value["interval"]
    pairs = {
        "agreement": tuple(value["agreement"]),
        "interval": None if interval is None else tuple(interval),
    }
    return Row(**{**value, **pairs, "speed": speed})


def front(rows: Sequence[Row]) -> list[Row]:
    """The allowed rows that no other allowed one beats in answers, speed and size at once (Pareto).

    Speed is that of a single image.
    """
    rows = [row for row in rows if not row.against]

    def beats(one: Row, other: Row) -> bool:
        pairs = list(zip(_axes(one), _axes(other), strict=True))
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    return [row for row in rows if not any(beats(other, row) for other in rows)]


def _axes(row: Row) -> tuple[float, float, float]:
    return (row.agreed, row.speed[min(row.speed)].ratio, -row.size)


@dataclass(frozen=True)
class Recommendation:
    """What to take, and why.

    Attributes:
        row: the candidate; None where float32 should be kept.
        reason: in words.
    """

    row: Row | None
    reason: str


def recommend(rows: Sequence[Row]) -> Recommendation:
    """The fastest candidate that costs no accuracy; among equally fast ones, the most faithful.

    Candidates whose speed at batch 1 cannot be told from the fastest's (their intervals overlap, or
    they are within the timing margin) count as equally fast. Those with nothing unproved come
    first. Among those whose shares of kept answers cannot be told apart, the least noise decides.
    """
    allowed = [row for row in rows if not row.against]
    if not allowed:
        return Recommendation(None, "keep float32: every candidate is slower or loses too much")
    proved = [row for row in allowed if not row.unproved]
    pool, single = proved or allowed, min(allowed[0].speed)
    fastest = max(pool, key=lambda row: row.speed[single].ratio)
    tied = [row for row in pool if _as_fast(row, fastest)]
    # Counts of answers differ by chance where their intervals overlap; noise is a steadier measure.
    kept = max(row.agreement[0] for row in tied)
    faithful = [row for row in tied if row.agreement[1] >= kept]
    best = max(faithful, key=lambda row: (row.sqnr, row.agreed, -row.size))
    speeds = ", ".join(
        f"{s.ratio:.2f}x [{s.low:.2f}, {s.high:.2f}] at batch {b}" for b, s in best.speed.items()
    )
    reason = f"{speeds}; gives float32's answer to {best.share:.2f} % of {best.images} images"
    if best.interval is not None:
        low, high = best.interval
        reason += f", top-1 {best.change:+.2f} point [{low:+.2f}, {high:+.2f}]"
    if len(tied) > 1:
        reason += f"; of {len(tied)} candidates that are equally fast it is the most faithful"
    elif best is fastest:
        reason += "; no other is as fast"
    if best.unproved:
        reason += f"; but {' and '.join(best.unproved)}"
    return Recommendation(best, reason)


def _as_fast(row: Row, fastest: Row) -> bool:
    """Whether a row's speed at batch 1 cannot be told from that of a fast one."""
    ours, theirs = row.speed[min(row.speed)], fastest.speed[min(fastest.speed)]
    return ours.high >= min(theirs.low, theirs.ratio / limits.FASTER.value)


def remark(row: Row, chosen: Row | None) -> str:
    """Why a candidate was not taken, or that it was."""
    if chosen is not None and row.label == chosen.label:
        return "recommended"
    if row.against:
        return "; ".join((*row.against, *_slower(row, chosen)))
    if row.unproved:
        return "; ".join(row.unproved)
    if chosen is None:
        return ""
    if not _as_fast(row, chosen):
        return "slower than the recommended one"
    if row.agreement[1] < chosen.agreement[0]:
        return "as fast, changes more answers"
    return f"as fast, {row.sqnr:.1f} dB for {chosen.sqnr:.1f}"


def _slower(row: Row, chosen: Row | None) -> tuple[str, ...]:
    """Where a slow candidate spends its time, beside the recommended one."""
    slow = any(speed.verdict == "slower" for speed in row.speed.values())
    if chosen is None or not slow or not row.operators:
        return ()
    name, spent = next(iter(row.operators.items()))
    theirs = chosen.operators.get(name)
    beside = "" if theirs is None else f", {theirs:.0f} us in the recommended one"
    return (f"its {name} nodes take {spent:.0f} us{beside}",)
