"""How a run goes: on how many threads, within how much memory, and from which seed."""

from __future__ import annotations

from dataclasses import dataclass

from conversion.core import environment as machine
from conversion.core.errors import UserError
from conversion.core.options import option

SEEDS = 2**32
"""NumPy's legacy generator, whose numbers never change (NEP 19), takes seeds below this."""

MOST_THREADS = 1024

MOST_MEMORY = 4_000_000_000
"""Bytes that a run takes unasked for activations and statistics."""


@dataclass(frozen=True)
class Running:
    """How a run goes.

    Attributes:
        threads: threads of an operator in evaluation, all of the machine's by default; latency is
            always measured on one.
        memory: GB for activations and statistics, beside weights and runtimes; a quarter of the
            machine's by default, at most 4.
        seed: of all that is drawn at random: synthetic inputs, and the calibration images where the
            settings have no seed for them.
    """

    threads: int | None = option(
        None,
        "--threads",
        "threads of an operator in evaluation; latency is measured on one (default: all)",
        metavar="N",
        parse=int,
    )
    memory: float | None = option(
        None,
        "--memory",
        "GB for activations and statistics, beside weights and runtimes (default: a quarter of the "
        "machine's, at most 4)",
        metavar="GB",
        parse=float,
    )
    seed: int = option(
        0,
        "--seed",
        "of all that is drawn at random: synthetic inputs, calibration images",
        metavar="N",
        parse=int,
    )

    def __post_init__(self) -> None:
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise UserError(f"Expected 1 to {MOST_THREADS} threads; got {self.threads}.")
        if self.memory is not None and not 0 < self.memory < float("inf"):
            raise UserError(f"Expected --memory in GB above 0; got {self.memory:g}.")
        if not 0 <= self.seed < SEEDS:
            raise UserError(f"Expected a seed from 0 to {SEEDS - 1}; got {self.seed}.")

    @property
    def budget(self) -> int:
        """Bytes for activations and statistics."""
        if self.memory is not None:
            return int(self.memory * 1e9)
        return min(machine.memory() // 4, MOST_MEMORY)
