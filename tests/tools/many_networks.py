"""Judges drawn networks, a line of JSON each; those that the log has are left out.

`PYTHONPATH=tests python -m tools.many_networks LOG --first 0 --count 500 --faulty 2`

A red LiteRT int8 file is held against what TensorFlow alone makes of the network, by scripts that
import nothing of the package: it is right where that cuts off the same range, or stops as well.
"""

from __future__ import annotations

import argparse
import collections
import json
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from generated.judging import images, judged
from generated.networks import of_seed

from conversion.reference import Reference

RENEWED = 10
"""Networks after which the Keras process is started anew: it keeps every model that it opened."""

SCRIPTS = Path(__file__).parents[1] / "converter_faults"
RANGES = re.compile(r"range of [^ ]+ is \[(.+?), (.+?)\]; the calibration images give")
CUT = re.compile(r"int8 holds \[(.+?), (.+?)\], the images give")
"""What a red measurement says, and the script: the ends that the int8 file holds."""
ALIKE = 2e-3
"""Of a range: ends that differ by less are the same, written with four digits or rounded once."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("--first", type=int, default=0, help="seed of the first network")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument(
        "--faulty", type=int, default=2, help="one in so many gets a fault; 0: none"
    )
    parser.add_argument("--summary", action="store_true", help="say what the log holds")
    given = parser.parse_args()
    lines = given.log.read_text().splitlines() if given.log.is_file() else []
    known = {each["seed"]: each for each in map(json.loads, lines)}
    if given.summary:
        print("\n".join(summary(list(known.values()))))
        return
    with Reference() as process, given.log.open("a") as log:
        for seed in range(given.first, given.first + given.count):
            if seed in known:
                continue
            faulty = bool(given.faulty) and seed % given.faulty == 0
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found = judged(process, seed, Path(folder), faulty).plain()
                    if found["code"]:
                        found["confirmed"] = confirmed(seed, Path(folder), found["bad"])
                except Exception as error:  # a crash is a result like any other
                    words = "".join(traceback.format_exception(error)[-4:])
                    found = {"seed": seed, "code": -1, "error": f"{error!r:.300}", "trace": words}
            log.write(f"{json.dumps(found)}\n")
            log.flush()
            if seed % RENEWED == RENEWED - 1:
                process.close()


def confirmed(seed: int, folder: Path, bad: list[str]) -> list[str]:
    """The artifacts that are red as TensorFlow and LiteRT alone show too.

    Args:
        seed: of the network.
        folder: where its file is.
        bad: what is red.
    """
    red = [each for each in bad if each.startswith("fail: litert-int8")]
    known = [shown for words, shown in SHOWN.items() if any(words in each for each in red)]
    if not known:
        return []
    (path,) = folder.glob(f"drawn_{seed}.*")
    np.save(folder / "images.npy", images(of_seed(seed), seed)["image"])
    return ["litert-int8"] if known[0](red, path, folder / "images.npy") else []


def _said(script: str, path: Path, data: Path) -> str:
    command = [sys.executable, str(SCRIPTS / script), str(path), str(data)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _stops(red: list[str], path: Path, data: Path) -> bool:
    """Whether LiteRT stops at TensorFlow's own file too."""
    return _said("litert_stops.py", path, data).splitlines()[-1] != "runs"


def _cut_off(red: list[str], path: Path, data: Path) -> bool:
    """Whether TensorFlow alone cuts off the same ranges."""
    cut = list(_ranges(CUT, _said("litert_cut_ranges.py", path, data)))
    same = [any(_alike(one, other) for other in cut) for one in _ranges(RANGES, " ".join(red))]
    return bool(same) and all(same)


SHOWN = {
    "LiteRT stops": _stops,
    "crashes the process": _stops,
    "range of ": _cut_off,
}
"""What is said of a red file, to what shows that it is right; the first that fits is asked."""


def _ranges(pattern: re.Pattern, text: str) -> Iterator[tuple[float, ...]]:
    yield from (tuple(map(float, each)) for each in pattern.findall(text))


def _alike(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    size = max(map(abs, one))
    return all(abs(a - b) <= ALIKE * size for a, b in zip(one, other, strict=True))


def _is_right(row: dict) -> bool:
    """Whether all that is red is of an artifact whose fault TensorFlow alone shows."""
    known = tuple(f"fail: {each}" for each in row.get("confirmed", ()))
    return bool(known) and all(each.startswith(known) for each in row["bad"])


def summary(rows: list[dict]) -> list[str]:
    """Counts, and a line for each network that is not green and each fault that nobody saw."""
    codes = collections.Counter(row["code"] for row in rows)
    said = [f"{len(rows)} networks, by exit code {dict(sorted(codes.items()))}"]
    faulty = [row for row in rows if row.get("fault")]
    caught = [row for row in faulty if row["caught"]]
    named = sum(row["localised"] for row in faulty)
    said += [f"{len(faulty)} faults: {len(caught)} caught, {named} named"]
    seconds = [row["seconds"] for row in rows if "seconds" in row]
    said += [f"{sum(seconds) / max(len(seconds), 1):.1f} s a network"]
    right = [row["seed"] for row in rows if _is_right(row)]
    said += [f"{len(right)} red as TensorFlow alone shows: {', '.join(map(str, right))}"]
    for row in rows:
        if row["code"] not in (0, 3) and row["seed"] not in right:
            said += [f"{row['seed']}: {row['code']}"]
            said += [f"    {each[:400]}" for each in row.get("bad", [row.get("error")])[:4]]
    said += [_missed(row) for row in faulty if not row["caught"]]
    return said


def _missed(row: dict) -> str:
    told = row.get("told")
    words = "no row of it" if told is None else f"{told:.2g} x what is seen"
    return f"{row['seed']}: missed {row['fault']}; the power table: {words}"


if __name__ == "__main__":
    main()
