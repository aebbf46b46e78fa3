"""The list of faults: every check has one that must turn it red, and none is vague."""

import pytest

from conversion.proof.checks import CHECKS, checks
from conversion.proof.faults import all_faults


@pytest.fixture(scope="module")
def faults():
    return all_faults()


def test_there_are_more_than_sixty_under_names_of_their_own(faults):
    names = [fault.name for fault in faults]
    assert len(names) >= 60
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", sorted({check.name for check in CHECKS}))
def test_every_check_is_killed_by_a_fault(faults, name):
    assert any(fault.check == name for fault in faults)


def test_every_fault_expects_a_check_that_its_artifact_gets(faults):
    odd = {
        fault.name: fault.check
        for fault in faults
        if fault.check not in {check.name for check in checks(fault.artifact)}
    }
    assert odd == {}


def test_every_fault_states_its_stage_magnitude_and_place(faults):
    from conversion.proof.faults.fault import STAGES

    assert {fault.stage for fault in faults} == set(STAGES)
    assert [fault.name for fault in faults if not (fault.magnitude and fault.where)] == []
    # A cause of one or two letters would be found in any sentence.
    assert [fault.name for fault in faults if len(fault.where) < 3] == []


def test_sizes_go_from_large_to_small_and_can_be_injected(faults):
    sized = [fault for fault in faults if fault.sizes]
    assert len(sized) >= 10
    odd = [f.name for f in sized if list(f.sizes) != sorted(f.sizes, reverse=True)]
    assert odd == []
    assert [fault.name for fault in faults if bool(fault.sizes) != bool(fault.resized)] == []


def test_a_row_of_an_operator_that_its_artifact_does_not_have_is_refused():
    from conversion.core.errors import UserError
    from conversion.proof.faults.operators import injection

    with pytest.raises(UserError, match="'kernel-bit' is none"):
        injection("kernel-bit", "torch-fp32", ["conv2d"], None)


def test_every_operator_of_a_layer_has_a_row(faults):
    """An operator that no reference subject has would be one that nothing tests."""
    from conversion.proof.faults.operators import known
    from conversion.proof.faults.table import ROWS
    from conversion.proof.standard.table import STANDARD, rows

    words = {cell for path in (ROWS, STANDARD) for _, cells in rows(path) for cell in cells}
    assert {name for fault in faults for name in known(fault.artifact)} - words == set()
