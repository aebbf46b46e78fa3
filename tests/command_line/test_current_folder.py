"""The current folder is for files, not for code: processes do not run what is in it."""

import pytest


@pytest.mark.parametrize("name", ["conversion", "numpy"])
def test_a_folder_that_is_called_as_a_package_is_not_run(run, mine, folder, name):
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('the package of the current folder')")
    code, out, said = run("inspect", mine.name)
    assert (code, said) == (0, "")
    assert "dense" in out
