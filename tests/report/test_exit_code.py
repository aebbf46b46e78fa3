"""The exit code of a run: five codes, and nothing that was not judged is ever a success."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.core.demands import Demands
from conversion.core.measurement import Concern, Measurement, Verdict
from conversion.report import exit_code, outcome

PASSED = Measurement("passed", "parity", "mine", "onnx-fp32", Verdict.PASS)
BROKEN = replace(PASSED, name="broken", verdict=Verdict.FAIL)
SKIPPED = replace(PASSED, name="built", verdict=Verdict.SKIPPED, reason="no images")
POWERLESS = replace(PASSED, name="powerless", verdict=Verdict.UNDECIDED)
DEAR = replace(BROKEN, name="dear", artifact="onnx-int8", concerns=Concern.COST)
FEW = replace(DEAR, name="few", verdict=Verdict.UNDECIDED, lacks_images=True)
DISAGREEING = replace(FEW, name="disagreeing", concerns=Concern.CONVERSION)
SLOW = replace(DEAR, name="slow", concerns=Concern.SPEED, limit=1.2)
HARDLY = replace(SLOW, name="hardly", verdict=Verdict.UNDECIDED)
NO_SPEED = replace(HARDLY, name="no_speed", limit=None)
WEAK = replace(FEW, name="weak", concerns=Concern.ADVICE, lacks_images=False)
ENDED = replace(POWERLESS, name="ended", concerns=Concern.SUITE)
KERAS = replace(PASSED, name="keras", artifact="keras-fp32")
EVERY = (
    *(PASSED, BROKEN, SKIPPED, POWERLESS, DEAR, FEW),
    *(DISAGREEING, SLOW, HARDLY, NO_SPEED, WEAK, ENDED),
)

DEFAULT, ALLOWED, REQUIRED = (
    Demands(),
    Demands(allow_undecided=True),
    Demands(require_decided=True),
)


@pytest.mark.parametrize(
    ("measurements", "code", "if_allowed", "if_required"),
    [
        pytest.param([PASSED], 0, 0, 0, id="a pass"),
        pytest.param([PASSED, SKIPPED], 0, 0, 0, id="a pass and a skip"),
        pytest.param([PASSED, BROKEN], 1, 1, 1, id="a failure"),
        pytest.param([PASSED, POWERLESS], 4, 0, 4, id="no power"),
        pytest.param([POWERLESS], 4, 0, 4, id="nothing but no power"),
        pytest.param([PASSED, ENDED], 4, 4, 4, id="a check that a fault of the suite ended"),
        pytest.param([ENDED, DEAR], 4, 4, 4, id="a check that was ended before a cost"),
        pytest.param([PASSED, FEW], 0, 0, 4, id="too few images"),
        pytest.param([PASSED, DISAGREEING], 0, 0, 4, id="too few images for agreement"),
        pytest.param([PASSED, DEAR], 3, 3, 3, id="a cost"),
        pytest.param([PASSED, SLOW], 3, 3, 3, id="a speed that was demanded"),
        pytest.param([PASSED, HARDLY], 0, 0, 4, id="a demanded speed that is undecided"),
        pytest.param([PASSED, NO_SPEED], 0, 0, 0, id="a speed that nobody demanded"),
        pytest.param([PASSED, WEAK], 0, 0, 0, id="advice"),
        pytest.param([], 2, 2, 2, id="nothing"),
        pytest.param([KERAS], 2, 2, 2, id="only the reference"),
        pytest.param([KERAS, SKIPPED], 2, 2, 2, id="all skipped but the reference"),
        pytest.param([BROKEN, POWERLESS], 1, 1, 1, id="a failure before no power"),
        pytest.param([POWERLESS, DEAR], 4, 3, 4, id="no power before a cost"),
        pytest.param([DEAR, FEW], 3, 3, 4, id="undecided as required before a cost"),
        pytest.param([DEAR, BROKEN], 1, 1, 1, id="a failure before a cost"),
        pytest.param([replace(KERAS, verdict=Verdict.FAIL)], 2, 2, 2, id="nothing judged first"),
    ],
)
def test_the_exit_code_of_a_run(measurements, code, if_allowed, if_required):
    assert exit_code(measurements) == code
    assert exit_code(measurements, DEFAULT) == code
    assert exit_code(measurements, ALLOWED) == if_allowed
    assert exit_code(measurements, REQUIRED) == if_required


@pytest.mark.parametrize(
    ("measurements", "demands", "words"),
    [
        ([PASSED], DEFAULT, "exit 0: every check that was asked for passed"),
        (
            [PASSED, FEW, replace(SKIPPED, artifact="torch-int8")],
            DEFAULT,
            "exit 0: every check that was asked for passed; too few images to decide onnx-int8 "
            "few; skipped: torch-int8",
        ),
        (
            [PASSED, ENDED],
            ALLOWED,
            "exit 4: a fault of this suite ended a check: onnx-fp32 ended",
        ),
        (
            [PASSED, POWERLESS],
            ALLOWED,
            "exit 0: every check that was asked for passed; undecided, as is allowed: onnx-fp32 "
            "powerless",
        ),
        ([BROKEN, DEAR], DEFAULT, "exit 1: converted wrongly: onnx-fp32 broken"),
        (
            [KERAS, SKIPPED],
            DEFAULT,
            "exit 2: no converted artifact was judged: onnx-fp32: no images",
        ),
        ([KERAS], DEFAULT, "exit 2: no converted artifact was judged: none was asked for"),
        (
            [PASSED, DEAR],
            DEFAULT,
            "exit 3: converted rightly, but int8 costs more than allowed: onnx-int8 dear",
        ),
        (
            [SLOW, DEAR],
            DEFAULT,
            "exit 3: converted rightly, but int8 costs more than allowed and is slower than "
            "demanded: onnx-int8 slow, onnx-int8 dear",
        ),
        (
            [POWERLESS],
            DEFAULT,
            "exit 4: parity has too little power to decide: onnx-fp32 powerless",
        ),
        ([PASSED, FEW], REQUIRED, "exit 4: not decided, as is required: onnx-int8 few"),
        (
            [replace(BROKEN, name=f"m{i}") for i in range(5)],
            DEFAULT,
            "exit 1: converted wrongly: onnx-fp32 m0, onnx-fp32 m1, onnx-fp32 m2 and 2 more",
        ),
    ],
)
def test_the_code_is_said_in_words(measurements, demands, words):
    assert str(outcome(measurements, demands)) == words


@pytest.mark.parametrize(
    ("measurement", "first"),
    [(BROKEN, "fail: "), (DEAR, "costs too much: "), (SLOW, "too slow: "), (FEW, "undecided: ")],
)
def test_the_first_words_of_an_explanation_say_what_it_means(measurement, first):
    assert measurement.explain().startswith(f"{first}{measurement.artifact} on mine: ")


@given(st.lists(st.sampled_from(EVERY)), st.sampled_from([DEFAULT, ALLOWED, REQUIRED]), st.data())
def test_a_wrong_conversion_is_a_1_wherever_it_stands(measurements, demands, data):
    place = data.draw(st.integers(0, len(measurements)), label="place of the failure")
    measurements.insert(place, BROKEN)
    assert exit_code(measurements, demands) == 1


@given(st.lists(st.sampled_from([KERAS, SKIPPED])), st.sampled_from([DEFAULT, ALLOWED, REQUIRED]))
def test_where_nothing_was_judged_the_code_is_2(measurements, demands):
    assert exit_code(measurements, demands) == 2


@given(st.permutations(EVERY), st.integers(1, len(EVERY)))
def test_the_order_of_measurements_does_not_matter(measurements, count):
    kept = measurements[:count]
    assert exit_code(kept) == exit_code(kept[::-1])
