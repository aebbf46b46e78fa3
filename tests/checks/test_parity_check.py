"""Parity against a truth, with noise and faults of known size."""

import numpy as np
import pytest

from conversion.core.measurement import Verdict
from conversion.proof.metrics import limits
from conversion.proof.metrics.parity import (
    About,
    output_error,
    output_tolerance,
    reference_noise,
)

ABOUT = About("synthetic", "onnx-fp32")
POOLED, CHANNEL, IMAGE = "output_error_pooled", "output_error_channel", "output_error_image"
N, C = 400, 8
STEP = 2.0**-20
"""One unit of noise, about 1e-6: float32 holds it exactly beside the values, which are quarters."""

TRUTH = np.random.RandomState(0).randint(-8, 8, (N, C)) / 4.0
SIGNS = np.where(np.random.RandomState(1).rand(N, C) < 0.5, -1, 1)


def keras(units=1.0):
    """The truth with an error of so many units everywhere: rms 1 unit, in every channel too."""
    return (TRUTH + units * STEP * SIGNS).astype(np.float32)


def measured(candidate, reference=None, truth=TRUTH, head="none"):
    reference = keras() if reference is None else reference
    found = output_error(ABOUT, {"y": truth}, {"y": reference}, {"y": candidate}, {"y": head})
    return {m.name: m for m in found}


def verdicts(found):
    return {name: str(m.verdict) for name, m in found.items()}


def test_multiples_of_the_noise_are_those_worked_out_by_hand():
    candidate = keras(2)
    candidate[7] = (TRUTH[7] + 8 * STEP).astype(np.float32)
    candidate[:, 3] = (TRUTH[:, 3] + 4 * STEP).astype(np.float32)
    found = measured(candidate)
    # image 7: 7 values off by 8 and one by 4; else 7 by 2 and one by 4
    image = 7 * 64 + 16
    larger = (np.square(TRUTH[7]).mean() / np.square(TRUTH).mean()) ** 0.5
    assert found[IMAGE].value == pytest.approx((image / 8) ** 0.5 / max(larger, 1))
    assert found[POOLED].value == pytest.approx(((image + 399 * (7 * 4 + 16)) / 3200) ** 0.5)
    assert found[CHANNEL].value == pytest.approx(4)
    assert verdicts(found) == {POOLED: "pass", CHANNEL: "pass", IMAGE: "pass"}
    assert {(m.layer, m.n, m.relation) for m in found.values()} == {("y", 400, "<=")}
    assert [found[name].limit for name in (POOLED, CHANNEL, IMAGE)] == [10, 10, 30]


def test_keras_own_outputs_are_one_noise_away():
    found = measured(keras())
    assert [m.value for m in found.values()] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(("units", "verdict"), [(10, "pass"), (11, "fail"), (1000, "fail")])
def test_the_limit_is_ten_times_the_noise(units, verdict):
    # 9.999: ten times is the limit itself, and the noise is a rounded square root
    found = measured(keras(units if units > 10 else 9.999))
    assert {verdicts(found)[name] for name in (POOLED, CHANNEL)} == {verdict}


@pytest.mark.parametrize(("units", "verdict"), [(29, "pass"), (31, "fail")])
def test_the_limit_of_one_image_is_thirty_times_the_pooled_noise(units, verdict):
    candidate = keras()
    candidate[7] = (TRUTH[7] + units * STEP).astype(np.float32)
    assert verdicts(measured(candidate))[IMAGE] == verdict


def test_a_fault_in_one_channel_is_seen_where_the_pooled_error_hides_it():
    candidate = keras()
    candidate[:, 5] += np.float32(20 * STEP)
    found = measured(candidate)
    assert verdicts(found) == {POOLED: "pass", CHANNEL: "fail", IMAGE: "pass"}
    assert found[CHANNEL].value == pytest.approx(401**0.5, rel=0.01)  # 20 beside 1


def test_a_fault_in_one_image_is_seen_where_pooled_and_channels_hide_it():
    candidate = keras()
    candidate[123] += np.float32(50 * STEP)
    found = measured(candidate)
    assert verdicts(found) == {POOLED: "pass", CHANNEL: "pass", IMAGE: "fail"}
    assert found[IMAGE].value == pytest.approx(50, rel=0.03)


def test_a_channel_that_keras_has_exactly_is_measured_against_half_an_ulp_of_the_outputs():
    reference, candidate = keras(), keras()
    reference[:, 2] = TRUTH[:, 2]
    candidate[:, 2] = TRUTH[:, 2] + STEP
    level = float(np.sqrt((TRUTH**2).mean()))
    assert measured(candidate, reference)[CHANNEL].value == pytest.approx(STEP / (2**-24 * level))


def test_outputs_that_are_all_exact_pass():
    exact = TRUTH.astype(np.float32)
    found = measured(exact, exact)
    assert {m.value for m in found.values()} == {0.0}
    assert set(verdicts(found).values()) == {"pass"}


@pytest.mark.parametrize("share", [0.9e-5, 1.1e-5, 1e-2])
def test_how_far_keras_is_from_the_truth_decides_nothing_by_itself(share):
    """What its noise hides is measured: the faults that would be seen."""
    spread = float(TRUTH.std(axis=0).mean())
    reference = (TRUTH + share * spread * SIGNS).astype(np.float32)
    assert set(verdicts(measured(reference, reference)).values()) == {"pass"}


def test_a_fault_is_measured_against_the_noise_that_keras_has():
    far = keras(100)
    assert set(verdicts(measured(keras(10_000), far)).values()) == {"fail"}
    assert set(verdicts(measured(keras(100), far)).values()) == {"pass"}


@pytest.mark.parametrize(("images", "verdict"), [(199, "undecided"), (200, "pass")])
def test_fewer_than_two_hundred_images_decide_nothing(images, verdict):
    found = measured(keras()[:images], keras()[:images], TRUTH[:images])
    assert set(verdicts(found).values()) == {verdict}
    if verdict == "undecided":
        assert all(m.reason == "199 images; at least 200 are needed" for m in found.values())


@pytest.mark.parametrize(
    ("truth", "reference"),
    [
        (TRUTH[:0], keras()[:0]),
        (TRUTH, keras()[:-1]),
        (TRUTH, keras().astype(np.float64)),
        (TRUTH, keras() * np.float32(np.nan)),
        (TRUTH * np.nan, keras()),
    ],
    ids=["empty", "short", "float64", "keras nan", "truth nan"],
)
def test_without_a_reference_to_believe_nothing_is_decided(truth, reference):
    found = measured(keras()[: len(truth)], reference, truth)
    assert verdicts(found) == {POOLED: "undecided"}
    assert found[POOLED].reason.startswith("no power: ")


@pytest.mark.parametrize(
    "candidate",
    [
        keras() * np.float32(np.nan),
        np.where(np.arange(C) == 3, np.float32(np.inf), keras()),
        keras()[:-1],
        keras()[:, :-1],
        keras()[:, :1],
        keras().astype(np.float64),
    ],
    ids=["nan", "inf", "fewer images", "fewer classes", "one class", "float64"],
)
def test_a_candidate_that_cannot_be_compared_fails(candidate):
    found = measured(candidate)
    assert verdicts(found) == {POOLED: "fail"}
    assert found[POOLED].value is None
    assert "'y'" in found[POOLED].reason


def test_one_nan_never_passes():
    candidate = keras()
    candidate[17, 2] = np.nan
    assert set(verdicts(measured(candidate)).values()) == {"fail"}


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_probabilities_are_judged_by_their_logits():
    truth = softmax(TRUTH)
    found = measured(
        softmax(keras(8).astype(np.float64)).astype(np.float32),
        softmax(keras(2).astype(np.float64)).astype(np.float32),
        truth,
        "softmax",
    )
    # rounding probabilities to float32 adds a little noise to both sides
    assert found[POOLED].value == pytest.approx(4, rel=0.05)
    assert set(verdicts(found).values()) == {"pass"}


@pytest.mark.parametrize(
    "broken",
    [
        lambda p: 2 * p,
        lambda p: p / p.max(axis=-1, keepdims=True),
        lambda p: p * np.float32(1.0001),
    ],
    ids=["doubled", "largest is 1", "a ten-thousandth too much"],
)
def test_rows_that_do_not_sum_to_one_fail_though_their_logits_agree(broken):
    truth = softmax(TRUTH)
    reference = softmax(keras(2).astype(np.float64)).astype(np.float32)
    found = measured(broken(reference).astype(np.float32), reference, truth, "softmax")
    assert found[POOLED].verdict is Verdict.PASS
    assert found["output_sum_error"].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "broken",
    [np.log, lambda p: 1 / (1 + np.exp(-p)), softmax, lambda p: softmax(np.log(p) / 2)],
    ids=["log-softmax", "sigmoid too", "softmax twice", "temperature 2"],
)
def test_another_head_fails_though_every_answer_is_the_same(broken):
    truth = softmax(TRUTH)
    reference = softmax(keras(2).astype(np.float64)).astype(np.float32)
    candidate = broken(reference).astype(np.float32)
    assert (candidate.argmax(axis=1) == reference.argmax(axis=1)).all()
    assert measured(candidate, reference, truth, "softmax")[POOLED].verdict is Verdict.FAIL


def test_every_output_is_judged_by_itself():
    two = {"a": TRUTH, "b": TRUTH}
    found = output_error(
        ABOUT,
        two,
        {"a": keras(), "b": keras()},
        {"a": keras(), "b": keras(50)},
        {"a": "none", "b": "none"},
    )
    assert [(m.layer, str(m.verdict)) for m in found] == [("a", "pass")] * 3 + [("b", "fail")] * 3


def test_a_missing_output_fails():
    two = {"a": keras(), "b": keras()}
    found = output_error(
        ABOUT, {"a": TRUTH, "b": TRUTH}, two, {"a": keras()}, {"a": "none", "b": "none"}
    )
    assert [str(m.verdict) for m in found] == ["fail"]


@pytest.mark.parametrize("units", [1, 100])
def test_the_references_own_noise_is_reported(units):
    (found,) = reference_noise(ABOUT, {"y": TRUTH}, {"y": keras(units)}, {"y": "none"})
    assert (str(found.verdict), found.limit) == ("pass", None)
    spread = float(np.sqrt(TRUTH.var(axis=0).mean()))
    assert found.value == pytest.approx(units * STEP / spread)


def test_where_the_truth_is_not_to_be_believed_no_pass_is_and_a_failure_still_is_one():
    arrays = {"y": TRUTH}, {"y": keras()}
    passed, failed = (
        output_error(ABOUT, *arrays, {"y": keras(units)}, {"y": "none"}, doubt="two functions")
        for units in (1, 100)
    )
    assert {str(m.verdict) for m in passed} == {"undecided"}
    assert all(m.reason == "two functions" for m in passed)
    assert {str(m.verdict) for m in failed} == {"fail"}
    (found,) = reference_noise(ABOUT, *arrays, {"y": "none"}, doubt="two functions")
    assert str(found.verdict) == "undecided"


def test_the_noise_of_a_flat_reference_is_undecided():
    (found,) = reference_noise(ABOUT, {"y": TRUTH * 0}, {"y": keras() * 0}, {"y": "none"})
    assert found.verdict is Verdict.UNDECIDED


def test_a_kept_prediction_is_said_to_be_one():
    found = output_error(
        ABOUT, {"y": TRUTH}, {"y": keras()}, {"y": keras()}, {"y": "none"}, cached=True
    )
    assert all(m.cached for m in found)


@pytest.mark.parametrize(
    ("atol", "rtol", "value", "verdict"),
    [
        (0.5, 0.0, 1.0, "pass"),
        (0.0, 0.25, 1.0, "pass"),
        (0.25, 0.125, 1.0, "pass"),
        (0.25, 0.0, 2.0, "fail"),
        (0.0, 0.0, float("inf"), "fail"),
    ],
)
def test_a_tolerance_is_for_the_largest_difference_from_keras(atol, rtol, value, verdict):
    ours, theirs = ({"x": np.array([[1.0], [3.0]]), "y": np.array([[2.0], [4.0]])} for _ in "ab")
    theirs["y"] = np.array([[2.5], [4.25]])
    plain = ({name: a.astype(np.float32) for name, a in each.items()} for each in (ours, theirs))
    found = output_tolerance(ABOUT, *plain, atol, rtol)
    assert (found.value, str(found.verdict), found.limit) == (value, verdict, 1.0)
    assert (found.name, found.topic, found.layer, found.n) == ("output_tolerance", "parity", "y", 2)
    assert "image 0 has 2.5 where Keras has 2" in found.reason


def test_equal_outputs_are_within_any_tolerance():
    found = output_tolerance(ABOUT, {"y": keras()}, {"y": keras()}, 0.0, 0.0)
    assert (found.value, str(found.verdict)) == (0.0, "pass")


@pytest.mark.parametrize(
    ("reference", "candidate", "verdict"),
    [(keras(), keras() * np.float32(np.nan), "fail"), (keras() * 0, keras() * 0, "undecided")],
    ids=["not a number", "flat"],
)
def test_a_tolerance_forgives_no_outputs_that_cannot_be_compared(reference, candidate, verdict):
    found = output_tolerance(ABOUT, {"y": reference}, {"y": candidate}, 1e9, 0.0)
    assert (str(found.verdict), found.value) == (verdict, None)


FLOORS = (
    *("WEIGHTS_SEEN", "BEHAVES", "VISIBLE"),
    *("INT8_DEFAULT", "INT8_TORCH", "MARGIN", "CLASS_MARGIN", "STABLE_AGREEMENT"),
    *(
        "SQNR",
        "IDEAL",
        "AGREEMENT",
        "AGREEMENT_OUTER",
        "LEVELS_ANSWERS",
        "INTEGER",
        "INTEGER_EXTERNAL",
    ),
)
ALL_LIMITS = {name: value for name, value in vars(limits).items() if name.isupper()}


@pytest.mark.parametrize("name", ALL_LIMITS)
def test_every_limit_has_a_unit_and_a_reason_and_what_was_measured_is_within_it(name):
    limit = ALL_LIMITS[name]
    assert isinstance(limit, limits.Limit)
    assert limit.unit
    assert len(limit.reason) > 10
    if limit.measured is not None:
        floor = name in FLOORS
        assert limit.measured >= limit.value if floor else limit.measured <= limit.value


def test_the_limits_are_where_the_design_puts_them():
    values = {name: limit.value for name, limit in ALL_LIMITS.items()}
    assert values == {
        "POOLED": 10,
        "CHANNEL": 10,
        "IMAGE": 30,
        "REACH": 10,
        "VISIBLE": 90,
        "SAME_LAYER": 1e-4,
        "SUM": 1e-5,
        "LEAST_ERROR": 5.960464477539063e-08,
        "ROWS": 30,
        "INT8_DEFAULT": -0.5,
        "INT8_TORCH": -0.4,
        "MARGIN": -0.75,
        "CLASS_MARGIN": -3,
        "STABLE": 0.5,
        "STABLE_AGREEMENT": 95,
        "TAPS": 10,
        "FOLDED": 6,
        "WEIGHTS_SEEN": 0.9,
        "BEHAVES": 30,
        "STEP": 0.501,
        "SQNR": 20,
        "IDEAL": -3,
        "IDEAL_ANSWERS": 1.5,
        "AGREEMENT": 97,
        "AGREEMENT_OUTER": 90,
        "LEVELS": 10,
        "LEVELS_LAYER": 0.1,
        "LEVELS_GROWN": 2,
        "LEVELS_STEP": 0.5,
        "LEVELS_MOST": 0.25,
        "LEVELS_ANSWERS": 99,
        "CLASSES": 0.01,
        "RANGE": 1e-5,
        "RANGE_ROUNDED": 0.0025,
        "RANGE_CUT": 1e-3,
        "RANGE_AGAIN": 0.05,
        "FASTER": 1.02,
        "INTEGER": 100,
        "INTEGER_EXTERNAL": 50,
        "SATURATION_ANSWERS": 1,
        "SATURATION_LOGITS": 0.05,
        "SHIPPED": 1.5,
        "SHIPPED_DRIFT": 0.4,
    }


@pytest.mark.parametrize(
    ("off", "verdict"), [(0.0, "undecided"), (1e-6, "undecided"), (0.1, "fail")]
)
def test_outputs_that_do_not_vary_are_wrong_where_they_are_others(off, verdict):
    constant = np.tile(np.float64([0.5, -2.0, 1.0]), (300, 1))
    keras = {"y": constant.astype(np.float32)}
    found = {"y": (constant + off).astype(np.float32)}
    (judged,) = output_error(ABOUT, {"y": constant}, keras, found, {"y": "none"})
    assert judged.verdict == verdict
