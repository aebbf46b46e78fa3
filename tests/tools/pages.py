"""Write the tables of the documents again, from the registries.

PYTHONPATH=tests python -m tools.pages
"""

from pathlib import Path

from tools.check_tables import check_table, limit_table, measurement_table
from tools.class_table import alias_line, class_line, refused_table
from tools.layer_table import activation_line, layer_table

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "supported.md": (layer_table, activation_line, class_line, alias_line, refused_table),
    "checks.md": (check_table, measurement_table, limit_table),
}
"""Page to what makes its tables."""


def written(page):
    """A page with its tables made again; each is a paragraph known by how it begins."""
    paragraphs = (DOCS / page).read_text().split("\n\n")
    for make in PAGES[page]:
        made = make()
        beginning = made.splitlines()[0].partition(":")[0]
        (place,) = [i for i, each in enumerate(paragraphs) if each.startswith(beginning)]
        paragraphs[place] = made + "\n" * (place == len(paragraphs) - 1)
    return "\n\n".join(paragraphs)


if __name__ == "__main__":
    for page in PAGES:
        (DOCS / page).write_text(written(page))
