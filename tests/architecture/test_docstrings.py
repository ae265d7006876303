"""Public docstrings tell what a caller cannot see; see rule 8 of ARCHITECTURE.md."""

import ast

import pytest
from source import MODULES, name_of, public_api, tree_of

SCIENCE = ("quantify", "metrics", "habitats", "graphs", "survival")
SECTIONS = ("Assumes:", "Source:")
PUBLIC = [(path, node) for path in MODULES for node in public_api(tree_of(path))]


def _label(pair) -> str:
    return f"{name_of(pair[0])}:{pair[1].name}"


@pytest.mark.parametrize("pair", PUBLIC, ids=_label)
def test_every_public_name_has_a_docstring(pair):
    assert ast.get_docstring(pair[1])


def _is_method(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Functions, and classes that are called, are methods; plain records of results are not."""
    if isinstance(node, ast.FunctionDef):
        return True
    names = {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
    bases = {ast.unparse(b) for b in node.bases}
    return "__call__" in names and not bases & {"Protocol"}


METHODS = [
    (path, node)
    for path, node in PUBLIC
    if path.parent.name in SCIENCE and _is_method(node) and "kernels" not in path.stem
]


@pytest.mark.parametrize("pair", METHODS, ids=_label)
def test_a_method_states_its_assumptions_and_source(pair):
    text = ast.get_docstring(pair[1]) or ""

    assert [s for s in SECTIONS if s not in text] == []
