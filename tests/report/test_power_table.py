"""Detection power on a terminal and on the page: what was missed is said, not hidden."""

import pytest

from conversion.report import as_document, render_power, write_page

TRIAL = {
    "name": "onnx-bias-lost",
    "subject": "embedded",
    "stage": "conversion",
    "artifact": "onnx-fp32",
    "magnitude": "one bias",
    "expected_check": "layers",
    "expected_layer": "conv2d",
    "caught": True,
    "caught_by": ["layers", "output-error"],
    "named_layer": "conv2d",
    "localised": True,
    "top1_change": 0.0,
    "accuracy_alone": False,
    "errors": [],
    "smallest": 0.001,
    "missed": 0.0001,
}
CONTROL = {"subject": "embedded", "artifact": "onnx-fp32", "measurements": 20, "failed": []}


def document(*changes, control=None):
    faults = [{**TRIAL, **change} for change in changes]
    return {"faults": faults, "controls": [{**CONTROL, **(control or {})}]}


def test_the_sums_count_trials_and_what_accuracy_alone_would_have_missed():
    seen = {"name": "onnx-bgr", "top1_change": -13.6, "accuracy_alone": True}
    table = render_power(document({}, seen))
    assert "2 faults, 2 trials: 2 caught, 2 named rightly (100.0 %)" in table
    assert "top-1 alone would have missed 1" in table
    assert "1 untouched artifacts: 1 without a failure" in table
    assert "layers +1" in table
    assert "0.001" in table


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"caught": False, "caught_by": [], "localised": False, "named_layer": ""}, "it passed"),
        ({"localised": False, "named_layer": "dense"}, "it named dense"),
    ],
    ids=["not caught", "misnamed"],
)
def test_what_was_missed_is_said_in_a_line_of_its_own(change, words):
    table = render_power(document(change))
    assert "embedded onnx-bias-lost: expected layers to name conv2d" in table
    assert words in table


def test_a_check_that_stopped_is_told_apart_from_one_that_passed():
    stopped = {"caught": False, "localised": False, "caught_by": [], "errors": ["rows: KeyError"]}
    table = render_power(document(stopped))
    assert "it stopped: rows: KeyError" in table
    assert "it passed" not in table


def test_a_red_control_is_said():
    table = render_power(document({}, control={"failed": ["fail: something"]}))
    assert "1 untouched artifacts: 0 without a failure" in table
    assert "fail: something" in table


def test_the_page_has_a_section_with_every_trial(tmp_path):
    whole = as_document([], {"python": "3.11"}, {"power": document({}, {"name": "onnx-bgr"})})
    page = write_page(whole, tmp_path).read_text()
    assert "Detection power" in page
    assert "onnx-bias-lost" in page
    assert "onnx-bgr" in page
    assert "layers, output-error" in page
    assert "caught, conv2d named" in page


def test_the_page_starts_with_what_was_missed(tmp_path):
    missed = {"name": "onnx-bgr", "caught": False, "localised": False, "caught_by": []}
    whole = as_document([], {"python": "3.11"}, {"power": document({}, missed)})
    page = write_page(whole, tmp_path).read_text().split("<tbody>")[1]
    assert page.index("onnx-bgr") < page.index("onnx-bias-lost")
    assert "missed" in page


def test_faults_that_were_not_injected_are_counted_by_their_reason():
    left_out = {"a": "the budget was over", "b": "the budget was over", "c": "conv has no bias"}
    table = render_power({**document({}), "left_out": left_out})
    assert "2 faults not injected: the budget was over" in table
    assert "1 faults not injected: conv has no bias" in table


def test_a_fault_that_any_check_may_catch_is_shown_with_the_one_that_did():
    table = render_power(document({"expected_check": ""}))
    assert "layers +1" in table


def test_a_page_without_power_has_no_such_section(tmp_path):
    whole = as_document([], {"python": "3.11"}, {})
    assert "Detection power" not in write_page(whole, tmp_path).read_text()
