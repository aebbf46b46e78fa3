"""Nothing compares in a way that can pass without comparing, or hides what went wrong."""

import ast

import pytest
from python_sources import files, parsed

TOLERANT = {
    "allclose",
    "isclose",
    "array_equiv",
    "assert_allclose",
    "assert_almost_equal",
    "assert_array_almost_equal",
    "assert_close",
}
"""Of numpy and torch: they broadcast, take NaN for equal, or have a tolerance that nobody chose."""
EXACT = {"array_equal", "equal"}
"""These give a result, which must not be dropped."""
LIBRARIES = {"np", "numpy", "torch", "testing"}
ANY = {"Exception", "BaseException"}


def called(node):
    """Library and name of a call such as ``np.testing.assert_allclose(...)``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        names = {each.id for each in ast.walk(owner) if isinstance(each, ast.Name)}
        return names & LIBRARIES, node.func.attr
    return set(), ""


def compares(node):
    library, name = called(node)
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
        return any(alias.name in TOLERANT for alias in node.names)
    return bool(library) and name in TOLERANT


def drops(node):
    library, name = called(node.value) if isinstance(node, ast.Expr) else (set(), "")
    return bool(library) and name in EXACT


def zips_loosely(node):
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "zip"
    return named and all(keyword.arg != "strict" for keyword in node.keywords)


def hides(node):
    if not isinstance(node, ast.ExceptHandler):
        return False
    kinds = (
        {each.id for each in ast.walk(node.type) if isinstance(each, ast.Name)}
        if node.type
        else ANY
    )
    nothing = all(
        isinstance(each, ast.Pass | ast.Continue)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        for each in node.body
    )
    return bool(kinds & ANY) and nothing


def unpickles(node):
    library, name = called(node)
    wanted = {"np": "allow_pickle", "numpy": "allow_pickle", "torch": "weights_only"}
    if name != "load" or not library:
        return False
    keywords = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
    (owner,) = library
    return keywords.get(wanted[owner]) is not (owner == "torch")


BANS = {
    "comparison of its own": compares,
    "comparison whose result is dropped": drops,
    "zip that stops at the shorter side": zips_loosely,
    "exception that nobody hears of": hides,
    "file that may run code": unpickles,
}
ASKED = (ast.Call, ast.Expr, ast.ExceptHandler, ast.ImportFrom)
"""What a ban can be of; a file has ten times as many other nodes."""
PLACES = {
    "comparison of its own": ("conversion", "fixtures", "tests"),
    "comparison whose result is dropped": ("conversion", "fixtures", "tests"),
    "zip that stops at the shorter side": ("conversion", "fixtures", "tests"),
    "exception that nobody hears of": ("conversion", "fixtures", "tests"),
    "file that may run code": ("conversion", "fixtures"),
}
ALLOWED = {("comparison of its own", "conversion/proof/metrics/compare.py")}


def lines(tree, ban):
    return [n.lineno for n in ast.walk(tree) if isinstance(n, ASKED) and BANS[ban](n)]


def test_no_file_has_one():
    """All in one walk, which takes longer than what is asked of a node."""
    places = {ban: set(files(*folders)) for ban, folders in PLACES.items()}
    found = set()
    for path in set().union(*places.values()):
        asked = [b for b in BANS if path in places[b] and (b, path) not in ALLOWED]
        for node in ast.walk(parsed(path)):
            if isinstance(node, ASKED):
                found |= {f"{path}:{node.lineno}: {ban}" for ban in asked if BANS[ban](node)}
    assert found == set()


SEEN = {
    "comparison of its own": (
        "np.allclose(a, b)",
        "assert numpy.isclose(a, b).all()",
        "np.testing.assert_allclose(a, b)",
        "torch.testing.assert_close(a, b)",
        "from numpy.testing import assert_allclose",
    ),
    "comparison whose result is dropped": ("np.array_equal(a, b)", "torch.equal(a, b)"),
    "zip that stops at the shorter side": ("for a, b in zip(x, y): f(a)", "dict(zip(x, y))"),
    "exception that nobody hears of": (
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept (ValueError, Exception):\n    'fine'",
        "try:\n    f()\nexcept:\n    pass",
        "for a in b:\n    try:\n        f()\n    except BaseException:\n        continue",
    ),
    "file that may run code": (
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
    ),
}
UNSEEN = {
    "comparison of its own": ("a.equal(b)", "np.maximum(a, b)", "compare(a, b)"),
    "comparison whose result is dropped": ("assert np.array_equal(a, b)", "a.equal(b)"),
    "zip that stops at the shorter side": ("zip(a, b, strict=True)", "zip_longest(a, b)"),
    "exception that nobody hears of": (
        "try:\n    f()\nexcept OSError:\n    pass",
        "try:\n    f()\nexcept Exception as error:\n    raise UserError(error) from None",
    ),
    "file that may run code": (
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=False)",
        "json.load(file)",
    ),
}


@pytest.mark.parametrize(("ban", "line"), [(ban, line) for ban in BANS for line in SEEN[ban]])
def test_it_would_be_seen(ban, line):
    assert lines(ast.parse(line), ban)


@pytest.mark.parametrize(("ban", "line"), [(ban, line) for ban in BANS for line in UNSEEN[ban]])
def test_what_is_right_is_left_alone(ban, line):
    assert not lines(ast.parse(line), ban)


def proves_nothing(node):
    """Whether a test has no way to fail; `judge` and friends are calls that raise."""
    if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
        return False
    return not any(
        isinstance(each, ast.Assert | ast.With)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Call))
        for each in ast.walk(node)
    )


def test_every_test_asserts_something():
    found = [
        f"{path}:{node.lineno} {node.name}"
        for path in files("tests")
        for node in ast.walk(parsed(path))
        if proves_nothing(node)
    ]
    assert found == []


MEASURED = {
    "Measurement": {"conversion/core/quantity.py", "conversion/report/document.py"},
    "Quantity": {"conversion/core/quantity.py", "conversion/proof/metrics/quantities.py"},
}
"""What is made where: so every measurement is of a quantity that is explained."""


def test_measurements_are_made_of_explained_quantities_alone():
    made = {name: set() for name in MEASURED}
    for path in files("conversion"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                made.get(node.func.id, set()).add(path)
    assert [path for name, places in MEASURED.items() for path in made[name] - places] == []
