"""Every layer stands in the table of the documents, known to every registry."""

from pathlib import Path

import pytest

from conversion.readers.schema import LAYERS

TEXT = (Path(__file__).parents[2] / "docs" / "supported.md").read_text()


@pytest.mark.parametrize("kind", sorted(set(LAYERS) - {"InputLayer"}))
def test_every_layer_has_a_row_and_every_registry_knows_it(kind):
    row, *_ = (line for line in TEXT.splitlines() if line.startswith(f"| `{kind}` |"))
    assert row.endswith("| yes | yes | yes |")
