"""The suite that judges a model; in the wheel as `conversion.suite`.

PYTEST_DONT_REWRITE: this file asserts nothing; the files beside it are rewritten all the same.
"""
