"""The tables of docs/zoo.md, made from what docs/zoo.json keeps, and the way to write both."""

import json
import os
from pathlib import Path
from statistics import median

DOCS = Path(__file__).parents[2] / "docs"
JSON, PAGE = DOCS / "zoo.json", DOCS / "zoo.md"
ROUTES = ("onnx-fp32", "torch-fp32", "torch-via-onnx-fp32")
INT8 = ("onnx-int8", "torch-int8")
HEADER = (
    "| model | layers | seen + fused, mistaken | Keras | ONNX | PyTorch | through ONNX | ONNX int8 "
    "| PyTorch int8 |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
TIMES = "| model | direct, s | through ONNX, s | ratio |\n|---|---|---|---|"


def table(document):
    """Every model with what was measured of it, as Markdown, the reasons below."""
    reasons, rows = {}, []
    for name, row in document["models"].items():
        keras = row["keras"]
        noise = f"{keras['noise']:.1e}" if "noise" in keras else "-"
        places = _places(row)
        cells = [name, str(row["layers"]), places, noise + _mark(keras, reasons)]
        cells += [_multiple(row["routes"][route], reasons) for route in ROUTES]
        alike = " (one class)" if row["answers"] == 1 else ""
        cells += [_eight_bits(row["int8"].get(each), reasons, alike) for each in INT8]
        rows.append(f"| {' | '.join(cells)} |")
    notes = [f"{number}. {reason}" for reason, number in reasons.items()]
    known = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    written = dict.fromkeys(w for row in document["models"].values() for w in row["rewritten"])
    users = {
        words: [n for n, row in document["models"].items() if words in row["rewritten"]]
        for words in written
    }
    listed = [f"- {words}: {', '.join(names)}" for words, names in users.items()]
    parts = (
        "\n".join((HEADER, *rows)),
        "\n".join(notes),
        "\n".join(("Rewritten in ONNX files:", "", *listed)) if listed else "",
        f"Measured with {known}.",
    )
    return "\n\n".join(part for part in parts if part)


def _places(row):
    """Layers of the ONNX file, and how many are mistaken in all files together."""
    route, files = row["routes"]["onnx-fp32"], {**row["routes"], **row["int8"]}.values()
    mistaken = sum(len(each.get("mistaken", ())) for each in files)
    return f"{route['seen']} + {route['fused']}, {mistaken}" if "seen" in route else "-"


def _multiple(route, reasons):
    value = f"{route['pooled']:.2f}" if "pooled" in route else route["verdict"]
    if "pooled" in route and route["verdict"] != "pass":
        value += f" {route['verdict']}"
    return value + _mark(route, reasons)


def _eight_bits(found, reasons, alike):
    if found is None:
        return "-"
    if "own" not in found:
        return found["verdict"] + _mark(found, reasons)
    kept = "-" if found["kept"] is None else f"{found['kept']:g} %{alike}"
    return f"{found['own']:.0f} / {found['outputs']:.0f} dB / {kept}"


def _mark(found, reasons):
    """A number that stands for the reason of a verdict; empty where there is none."""
    if "why" not in found:
        return ""
    return f" ({reasons.setdefault(found['why'], len(reasons) + 1)})"


def speeds(document):
    """Seconds of both conversions to PyTorch, model by model, and the median of the ratios."""
    found = document["speed"]
    if not found:
        return "Not measured yet."
    ratios = {name: row["ratio"] for name, row in found.items()}
    rows = [
        f"| {name} | {row['direct']:.1f} | {row['through']:.1f} | {ratios[name]:.1f} |"
        for name, row in found.items()
    ]
    return "\n".join((TIMES, *rows, f"| median | | | {median(ratios.values()):.1f} |"))


TABLES = {"zoo": table, "speed": speeds}
"""Name of the marks in the page to what stands between them."""


def rendered(text, document):
    """The page with every table rebuilt."""
    for name, made in TABLES.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{made(document)}\n{end}{after}"
    return text


def read():
    """What docs/zoo.json keeps; nothing where it is not there yet."""
    if not JSON.is_file():
        return {"versions": {}, "models": {}, "speed": {}}
    return json.loads(JSON.read_text())


def write(part, name, row, names, versions):
    """Keep one row, in the order of `names`, and render the page, each in one step.

    Args:
        part: ``models`` or ``speed``.
        name: the row's model.
        row: what was measured of it, plain values.
        names: every model, in the page's order.
        versions: package to version.
    """
    document = read()
    document["versions"] = versions
    rows = {**document[part], name: row}
    document[part] = {each: rows[each] for each in names if each in rows}
    _place(json.dumps(document, indent=1) + "\n", JSON)
    _place(rendered(PAGE.read_text(), document), PAGE)


def _place(text, path):
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text)
    os.replace(beside, path)
