"""What does int8 cost?"""

import pytest

pytestmark = pytest.mark.quantization


def test_quantization(case, check, judge):
    judge(check.measure(case))
