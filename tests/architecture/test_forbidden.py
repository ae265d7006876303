"""Calls that do not belong into a layer, or into the package at all."""

import ast
import re

import pytest
from source import MODULES, ROOT, name_of, tree_of

ANYWHERE = {
    "pickle.load", "pickle.loads", "torch.load", "yaml.load", "eval", "exec", "os.system",
    "np.random.seed", "random.seed",
}  # fmt: skip
SCIENCE = {
    "core", "metrics", "survival", "preprocess", "quantify", "simulate", "habitats", "graphs",
}  # fmt: skip
IN_SCIENCE = {"print", "open", "input", "plt.show", "plt.plot"}


def _calls(tree: ast.Module) -> set[str]:
    return {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_dangerous_call(path):
    assert _calls(tree_of(path)) & ANYWHERE == set()
    assert "allow_pickle=True" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [p for p in MODULES if p.parent.name in SCIENCE], ids=name_of)
def test_science_opens_and_prints_nothing(path):
    assert _calls(tree_of(path)) & IN_SCIENCE == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_catch_all_arguments(path):
    taken = [
        n.name
        for n in ast.walk(tree_of(path))
        if isinstance(n, ast.FunctionDef) and n.args.kwarg is not None
    ]

    assert taken == []


def test_configuration_models_live_in_one_place():
    using = {
        name_of(p) for p in MODULES if re.search(r"^(import|from) pydantic", p.read_text(), re.M)
    }

    assert using <= {"workflows/config.py"}


def test_every_quantity_key_resolves():
    from bolus.core import QUANTITIES

    asked = {
        key
        for path in MODULES
        for key in re.findall(r'QUANTITIES\["(\w+)"\]', path.read_text(encoding="utf-8"))
    }

    assert asked <= set(QUANTITIES)


def test_changelog_fragments_are_named_by_kind():
    kinds = {"added", "changed", "fixed", "removed", "README"}

    assert {p.stem.split(".")[-1] for p in (ROOT / "changelog.d").glob("*.md")} <= kinds
