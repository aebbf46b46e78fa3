"""Faults of LiteRT files are there once injected, run, and leave the good file as it was."""

import pytest
from first_faults import first_faults

from conversion.proof.faults import all_faults


@pytest.mark.parametrize(
    "which",
    [
        pytest.param(slice(1), id="first"),
        pytest.param(slice(1, None), id="others", marks=pytest.mark.slow),
    ],
)
def test_an_injected_file_holds_something_else_and_still_runs(
    workspaces, tmp_path, subtests, which
):
    """Each is another conversion by TensorFlow, which takes seconds."""
    good = workspaces("embedded")
    images = {name: array[:3] for name, array in good.parity_inputs.items()}
    caught = {fault.name for fault in first_faults()}  # and so injected, by test_faults
    planned = [f for f in all_faults() if f.name.startswith("litert-") and f.name not in caught]
    assert planned[which]
    for index, fault in enumerate(planned[which]):
        with subtests.test(fault.name):
            skip_where_missing(fault)
            folder = tmp_path / str(index)
            folder.mkdir()
            before = good.artifact(fault.artifact).path.read_bytes()
            injected = fault.inject(good, folder)
            assert injected.artifact(fault.artifact).path.read_bytes() != before
            assert good.artifact(fault.artifact).path.read_bytes() == before
            assert injected.runner(fault.artifact).run(images)["dense"].shape == (3, 10)


def skip_where_missing(fault):
    from conversion.backends import missing

    if reason := missing(fault.artifact):
        pytest.skip(reason)
