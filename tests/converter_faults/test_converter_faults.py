"""What a converter does wrong by itself, said by scripts that import nothing of this package."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def said(script):
    """The last lines of what a script says, as words to numbers."""
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("tensorflow")
    path = Path(__file__).with_name(script)
    ran = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    lines = [line.rpartition(": off by ") for line in ran.stdout.splitlines()]
    return {words: float(number) for words, found, number in lines if found}


def test_litert_cuts_off_what_a_minimum_reads_for_whatever_else_reads_it():
    off = said("litert_minimum.py")
    assert off["without minimum"] < 0.05
    assert off["with minimum"] > 0.5
