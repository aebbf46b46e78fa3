"""Faults of LiteRT files are there once injected, run, and leave the good file as it was."""

from first_faults import first_faults

from conversion.proof.faults import all_faults


def test_an_injected_file_holds_something_else_and_still_runs(workspaces, tmp_path, subtests):
    good = workspaces("embedded")
    images = {name: array[:3] for name, array in good.parity_inputs.items()}
    caught = {fault.name for fault in first_faults()}  # and so injected, by test_faults
    planned = [f for f in all_faults() if f.name.startswith("litert-") and f.name not in caught]
    assert planned
    for index, fault in enumerate(planned):
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
    import pytest

    from conversion.backends import missing

    if reason := missing(fault.artifact):
        pytest.skip(reason)
