"""Sizes that keep the code readable; see ARCHITECTURE.md."""

import ast

import pytest
from source import MODULES, PACKAGE, functions, name_of, tree_of

MODULE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 8
ROOT_NAMES = 40


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_fits_its_budget(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines after the docstring: explaining more must never be punished."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_fits_its_budget(path):
    too_long = {
        node.name: lines
        for node in functions(tree_of(path))
        if (lines := _body_lines(node)) > FUNCTION_LINES
    }

    assert too_long == {}


def _takes_options_of_a_command(path) -> bool:
    """A command of the CLI has one parameter per option: its signature is its help page."""
    return path.parent.name == "cli"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_takes_few_parameters(path):
    if _takes_options_of_a_command(path):
        return
    too_many = {}
    for node in functions(tree_of(path)):
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        count = len([n for n in names if n not in ("self", "cls")])
        compiled = any("njit" in ast.unparse(d) for d in node.decorator_list)
        if count > PARAMETERS and not compiled:  # numba takes no dataclasses
            too_many[node.name] = count

    assert too_many == {}


def test_folders_are_one_deep():
    assert {p.relative_to(PACKAGE).parent.as_posix().count("/") for p in MODULES} == {0}


def test_the_root_has_few_public_names():
    import bolus

    assert len(bolus.__all__) <= ROOT_NAMES
