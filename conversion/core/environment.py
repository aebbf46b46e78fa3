"""The machine that numbers were measured on: its processor, memory and load."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conversion.core import digest

CPUINFO = Path("/proc/cpuinfo")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")
"""Instruction sets that decide how fast eight bits are, and whether their sums saturate."""

LIMIT = Path("/sys/fs/cgroup/memory.max")

KEPT = ("model name", "flags", "Features", "CPU part")


@dataclass(frozen=True)
class Processor:
    """A processor as its operating system describes it.

    Attributes:
        model: its name.
        instructions: instruction set to whether it has it; None where nobody says.
        logical: how many threads it runs at once.
        digest: SHA-256 of its model and all its flags; runs under another are not compared.
    """

    model: str
    instructions: dict[str, bool] | None
    logical: int
    digest: str


def processor() -> Processor:
    """The processor of this machine."""
    return _read(CPUINFO)


def sums_saturate() -> bool:
    """Whether this processor adds pairs of uint8 x int8 products in 16 bits: x86 without VNNI."""
    known = processor().instructions
    return known is not None and known["avx2"] and not (known["avx512_vnni"] or known["avx_vnni"])


@cache
def _read(cpuinfo: Path) -> Processor:
    logical = os.cpu_count() or 1
    otherwise = platform.processor() or platform.machine()
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        known = digest.of_bytes(f"{platform.machine()} {otherwise}".encode())
        return Processor(otherwise, None, logical, known)
    fields: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    kept = sorted({line for line in lines if line.startswith(KEPT)})
    flags = set(fields["flags"].split()) if "flags" in fields else None
    return Processor(
        fields.get("model name") or otherwise,
        None if flags is None else {name: name in flags for name in INSTRUCTIONS},
        logical,
        digest.of_bytes("\n".join(kept).encode()),
    )


def memory() -> int:
    """Bytes of memory that this process may take: the machine's, or its control group's limit."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(whole, int(LIMIT.read_text()))
    except (OSError, ValueError):  # no control group, or one without a limit
        return whole


def load() -> list[float] | None:
    """Processes waiting for a core, over 1, 5 and 15 minutes; None where nobody says."""
    return [round(each, 2) for each in os.getloadavg()] if hasattr(os, "getloadavg") else None
