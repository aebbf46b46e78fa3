"""The one comparison: what it refuses to compare, and the numbers that it gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conversion.proof.metrics.compare import Incomparable, NoPower, compare, odd_one
from conversion.proof.metrics.views import centred_log, identity

GOOD = np.array([[1, 2], [3, 5], [0, 4]], np.float32)


def alone(reference, candidate, **more):
    (found,) = compare({"y": reference}, {"y": candidate}, **more)
    return found


@pytest.mark.parametrize(
    ("candidate", "sentence"),
    [
        ({}, r"outputs should be \['y'\]; they are \[\]"),
        ({"z": GOOD}, r"should be \['y'\]; they are \['z'\]"),
        ({"y": GOOD, "z": GOOD}, r"they are \['y', 'z'\]"),
        ({"y": GOOD[:2]}, r"the shape \(3, 2\); it has \(2, 2\)"),
        ({"y": GOOD[:1]}, r"it has \(1, 2\)"),
        ({"y": GOOD[:, :1]}, r"it has \(3, 1\)"),
        ({"y": GOOD[0]}, r"it has \(2,\)"),
        ({"y": GOOD[None]}, r"it has \(1, 3, 2\)"),
        ({"y": np.float32(1)}, r"it has \(\)"),
        ({"y": GOOD[:0]}, r"it has \(0, 2\)"),
        ({"y": GOOD.astype(np.float64)}, "should be float32; it is float64"),
        ({"y": GOOD.astype(np.float16)}, "it is float16"),
        ({"y": GOOD.astype(np.int64)}, "it is int64"),
        ({"y": np.where(GOOD == 5, np.float32(np.nan), GOOD)}, "1 values that are NaN or Inf"),
        ({"y": np.where(GOOD > 2, np.float32(np.inf), GOOD)}, "3 values that are NaN or Inf"),
        ({"y": np.where(GOOD == 5, np.float32(-np.inf), GOOD)}, "1 values that are NaN or Inf"),
    ],
    ids=[
        "none",
        "renamed",
        "one more",
        "fewer images",
        "one image",
        "one class",
        "one row",
        "an axis more",
        "scalar",
        "empty",
        "float64",
        "float16",
        "int64",
        "nan",
        "inf",
        "minus inf",
    ],
)
def test_a_candidate_of_another_kind_is_incomparable(candidate, sentence):
    with pytest.raises(Incomparable, match=sentence):
        compare({"y": GOOD}, candidate)


def test_outputs_in_another_order_are_incomparable():
    with pytest.raises(Incomparable, match="they are"):
        compare({"a": GOOD, "b": GOOD}, {"b": GOOD, "a": GOOD})


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        (GOOD[:0], "no elements"),
        (GOOD[:, :0], "no elements"),
        (np.where(GOOD == 5, np.float32(np.nan), GOOD), "not finite"),
        (np.where(GOOD == 5, np.float32(np.inf), GOOD), "not finite"),
        (np.zeros((3, 2), np.float32), "hardly varies"),
        (np.full((3, 2), 7, np.float32), "hardly varies"),
        (np.array([[1, 2], [1, 2], [1, 2]], np.float32), "hardly varies"),
        (np.float32(1e4) + np.array([[0], [1e-3], [0]], np.float32), "hardly varies"),
        (np.array([[0.5]], np.float32), "hardly varies"),
    ],
    ids=["no images", "no classes", "nan", "inf", "zero", "one", "same", "flat", "single"],
)
def test_a_reference_that_says_nothing_has_no_power(reference, sentence):
    with pytest.raises(NoPower, match=sentence):
        alone(reference, reference)


def test_a_reference_without_outputs_has_no_power():
    with pytest.raises(NoPower, match="no outputs"):
        compare({}, {})


def test_an_agreeing_output_does_not_hide_a_flat_one():
    with pytest.raises(NoPower, match="'flat' hardly varies"):
        compare({"y": GOOD, "flat": GOOD * 0}, {"y": GOOD, "flat": GOOD * 0})


def test_the_numbers_are_those_worked_out_by_hand():
    found = alone(GOOD, GOOD + np.array([[3, 0], [0, -4], [0, 0]], np.float32))
    # squared errors: 9 0 | 0 16 | 0 0
    assert found.n == 3
    assert found.rms == pytest.approx(2.0412414523193148)  # sqrt(25 / 6)
    assert found.channels.tolist() == pytest.approx([1.7320508075688772, 2.3094010767585034])
    assert found.images.tolist() == pytest.approx([2.1213203435596424, 2.8284271247461903, 0])
    assert found.largest == 4
    # columns 1 3 0 and 2 5 4: variances 14/9 and 14/9; squares sum to 55
    assert found.spread == pytest.approx(1.247219128924647)  # sqrt(14 / 9)
    assert found.level == pytest.approx(3.0276503540974917)  # sqrt(55 / 6)


def test_images_with_axes_between_pool_over_them():
    reference = np.arange(24, dtype=np.float64).reshape(2, 3, 2, 2)
    error = np.zeros((2, 3, 2, 2))
    error[1, 2, 1, 0] = 6
    found = alone(reference, reference + error)
    assert (found.n, found.images.shape, found.channels.shape) == (2, (2,), (2,))
    assert found.images.tolist() == pytest.approx([0, 1.7320508075688772])  # sqrt(36 / 12)
    assert found.channels.tolist() == pytest.approx([1.7320508075688772, 0])  # sqrt(36 / 12)
    assert found.rms == pytest.approx(1.224744871391589)  # sqrt(36 / 24)


def test_outputs_of_one_axis_have_one_channel():
    found = alone(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    assert found.channels.tolist() == pytest.approx([1.4142135623730951])
    assert found.images.tolist() == [0, 2]


def test_the_candidates_dtype_may_be_asked_for():
    truth = GOOD.astype(np.float64)
    assert alone(truth, GOOD, dtype=np.float32).rms == 0
    with pytest.raises(Incomparable, match="should be float32; it is float64"):
        alone(truth, truth, dtype=np.float32)


def test_a_float64_truth_is_not_rounded_to_its_candidate():
    truth = np.array([[1.0], [2.0 + 2e-9]])
    assert alone(truth, truth.astype(np.float32), dtype=np.float32).largest == pytest.approx(2e-9)


@pytest.mark.parametrize("shift", [0.0, 0.4], ids=["zero", "shifted by a normalization"])
def test_the_noise_of_a_channel_that_is_the_same_in_all_images_but_one_is_no_chance(shift):
    """In that one Keras may be right to the last digit, and another runtime as right as ever."""
    truth = np.random.default_rng(0).normal(size=(200, 3))
    truth[:, 2] = 0
    truth[7, 2] = 1.5
    keras = (truth + shift).astype(np.float32)
    truth = keras.astype(np.float64)
    truth[:, :2] += 1e-6
    (noise,) = compare({"y": truth}, {"y": keras}, dtype=np.float32)
    assert noise.showing.tolist() == [200, 200, 1]
    assert noise.channel_noise[2] > 0.5e-6


def test_each_output_has_a_view_of_its_own():
    chances = np.array([[0.25, 0.75], [0.5, 0.5]])
    found = compare(
        {"a": chances, "b": chances}, {"a": chances * 2, "b": chances * 2}, {"a": centred_log}
    )
    assert found[0].largest == pytest.approx(0, abs=1e-15)
    assert found[1].largest == 0.75


def test_centred_logs_are_the_logits_less_their_mean():
    chances = np.array([[np.e, 1, 1], [1, 1, 1]]) / np.array([[np.e + 2], [3]])
    by_hand = [[2 / 3, -1 / 3, -1 / 3], [0, 0, 0]]
    assert centred_log(chances).tolist() == [pytest.approx(row, abs=1e-15) for row in by_hand]


def test_centred_logs_hold_probabilities_off_zero_at_1e_30():
    (row,) = centred_log(np.array([[1.0, 0.0]], np.float32))
    half = 34.538776394910684  # ln(1e30) / 2
    assert row.tolist() == pytest.approx([half, -half])
    below = centred_log(np.array([[1.0, 1e-35]]))
    assert below.tolist() == [row.tolist()]


ROWS = hnp.arrays(
    np.float64, st.tuples(st.integers(2, 5), st.integers(2, 4)), elements=st.integers(-40, 40)
).filter(lambda rows: (rows != rows[0]).any())


def softmax(rows):
    powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@settings(max_examples=30)
@given(ROWS)
def test_nothing_differs_from_itself(rows):
    found = alone(rows, rows.copy())
    assert (found.rms, found.largest) == (0, 0)
    assert not found.channels.any()
    assert not found.images.any()


@settings(max_examples=30)
@given(ROWS, st.integers(-9, 9))
def test_more_and_less_are_as_far(rows, step):
    more, less = alone(rows, rows + step), alone(rows, rows - step)
    assert more.rms == less.rms == pytest.approx(abs(step))
    assert more.largest == less.largest == abs(step)
    assert more.channels.tolist() == less.channels.tolist()


@settings(max_examples=30)
@given(ROWS, ROWS)
def test_no_image_and_no_channel_is_further_than_the_largest_difference(rows, other):
    if rows.shape != other.shape:
        return
    found = alone(rows, other)
    assert found.rms <= found.largest * (1 + 1e-12)
    assert found.images.max() <= found.largest * (1 + 1e-12)
    assert found.channels.max() <= found.largest * (1 + 1e-12)
    assert found.rms <= found.images.max() * (1 + 1e-12)


@settings(max_examples=30)
@given(ROWS, st.integers(-100, 100))
def test_softmax_forgets_what_is_added_to_every_logit_and_so_do_centred_logs(rows, constant):
    logits = np.clip(rows, -20, 20)
    centred = logits - logits.mean(axis=-1, keepdims=True)
    assert np.abs(centred_log(softmax(logits + constant)) - centred).max() <= 1e-12


def test_values_as_they_are_stay_the_same_array():
    assert identity(GOOD) is GOOD


@pytest.mark.parametrize(
    ("candidate", "sentence"),
    [
        ({"y": GOOD.copy()}, ""),
        ({}, "they are []"),
        ({"z": GOOD}, "they are ['z']"),
        ({"y": GOOD, "z": GOOD}, "they are ['y', 'z']"),
        ({"y": GOOD[:1]}, "it is float32 (1, 2)"),
        ({"y": GOOD.astype(np.float64)}, "it is float64 (3, 2)"),
        ({"y": GOOD * np.float32(np.nan)}, "is not finite"),
        ({"y": np.nextafter(GOOD, np.float32(9))}, "'y' differs"),
    ],
    ids=["same", "none", "renamed", "more", "fewer rows", "float64", "nan", "one ulp"],
)
def test_the_very_same_outputs_leave_nothing_to_say(candidate, sentence):
    found = odd_one({"y": GOOD}, candidate)
    assert found.endswith(sentence)
    assert bool(found) is bool(sentence)


def test_one_flat_number_may_still_be_the_very_same():
    assert odd_one({"y": np.ones((1, 1))}, {"y": np.ones((1, 1))}) == ""
