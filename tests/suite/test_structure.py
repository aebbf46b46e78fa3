"""Is every artifact what it says it is?"""

import pytest

pytestmark = pytest.mark.structure


def test_structure(case, check, judge):
    judge(check.measure(case))
