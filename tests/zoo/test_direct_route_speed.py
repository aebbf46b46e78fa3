"""The direct route to PyTorch against the one through ONNX: whole processes, cold stores."""

import os
import shutil
import subprocess
import sys
import time
from statistics import median

import pytest
import zoo_models
import zoo_table

ROUTES = {"direct": "torch-fp32", "through": "torch-via-onnx-fp32"}
ROUNDS = 1
"""Pairs a model, one conversion right after the other; the median is over the models."""

LEAST = 5.0
"""How many times faster the direct route is, as the median over the zoo (issue 5)."""

pytestmark = pytest.mark.slow


def seconds(path, route, folder):
    """Of one conversion in a process of its own, with an empty store."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "conversion", "convert", str(path), "--backends", route]
    settings = {**os.environ, "CONVERSION_CACHE_DIR": str(folder / "store")}
    began = time.perf_counter()
    ran = subprocess.run(
        [*command, "--out", str(folder / "out")], env=settings, capture_output=True, text=True
    )
    took = time.perf_counter() - began
    assert ran.returncode == 0, ran.stderr
    return took


@pytest.fixture(scope="module")
def ratios():
    return {}


@pytest.mark.parametrize("name", zoo_models.FAMILIES)
def test_both_routes_convert(name, process, tmp_path, ratios, written, say):
    written.skip_known("speed", name)
    path = zoo_models.built(process, name, tmp_path)
    process.close()
    rounds = [
        {way: seconds(path, route, tmp_path / "cold") for way, route in ROUTES.items()}
        for _ in range(ROUNDS)
    ]
    row = {way: round(median(each[way] for each in rounds), 2) for way in ROUTES}
    row["ratio"] = round(median(each["through"] / each["direct"] for each in rounds), 2)
    ratios[name] = row["ratio"]
    say(f"{name}: direct {row['direct']} s, through ONNX {row['through']} s, {row['ratio']} x")
    written.keep("speed", name, row)
    path.unlink()
    shutil.rmtree(tmp_path / "cold")


def test_the_direct_route_is_at_least_five_times_faster(ratios, written):
    found = ratios
    if written.choice:
        found = {name: row["ratio"] for name, row in zoo_table.read()["speed"].items()}
    assert median(found.values()) >= LEAST, found
