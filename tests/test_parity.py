"""Do ONNX and PyTorch give Keras's logits?"""

import pytest

pytestmark = pytest.mark.parity


def test_parity(case, check, judge):
    judge(check.measure(case))
