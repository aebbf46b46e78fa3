"""Judges drawn networks, a line of JSON each; those that the log has are left out.

`PYTHONPATH=tests python -m tools.many_networks LOG --first 0 --count 500 --faulty 2`
"""

from __future__ import annotations

import argparse
import collections
import json
import tempfile
import traceback
from pathlib import Path

from generated.judging import judged

from conversion.reference import Reference

RENEWED = 10
"""Networks after which the Keras process is started anew: it keeps every model that it opened."""


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
                except Exception as error:  # a crash is a result like any other
                    words = "".join(traceback.format_exception(error)[-4:])
                    found = {"seed": seed, "code": -1, "error": f"{error!r:.300}", "trace": words}
            log.write(f"{json.dumps(found)}\n")
            log.flush()
            if seed % RENEWED == RENEWED - 1:
                process.close()


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
    for row in rows:
        if row["code"] not in (0, 3):
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
