"""The table of layers in the documents is what the registries say."""

from pathlib import Path

import pytest

from conversion.readers.schema import LAYERS
from conversion.report.layer_table import layer_table

TEXT = (Path(__file__).parents[2] / "docs" / "supported.md").read_text()


def test_the_table_in_the_documents_is_the_one_of_the_registries():
    assert layer_table() in TEXT


@pytest.mark.parametrize("kind", sorted(set(LAYERS) - {"InputLayer"}))
def test_every_layer_has_a_row_and_every_registry_knows_it(kind):
    (row,) = (line for line in TEXT.splitlines() if line.startswith(f"| `{kind}` |"))
    assert row.endswith("| yes | yes | yes |")
