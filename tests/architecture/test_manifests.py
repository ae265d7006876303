"""Whoever opens an output folder states what it will hold."""

import ast
from pathlib import Path

import pytest

import bolus

WORKFLOWS = sorted((Path(bolus.__file__).parent / "workflows").glob("*.py"))


def calls(tree: ast.AST, name: str) -> int:
    return sum(
        isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) == name
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_open_output_has_a_manifest(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    opened = calls(tree, "open_output") + calls(tree, "once")

    assert calls(tree, "expect") >= min(opened, 1)
