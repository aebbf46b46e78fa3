"""Checks: pure functions of a reference, a candidate and limits, which return measurements."""
