"""Checks of int8 artifacts."""
