"""Imports point down only, and loading the package costs nothing."""

import subprocess
import sys

import pytest
from importlinter.cli import lint_imports
from source import ROOT


def test_the_layer_contract_is_kept(monkeypatch):
    monkeypatch.chdir(ROOT)

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


HEAVY = ("torch", "numba", "matplotlib", "scipy", "nibabel", "SimpleITK", "sklearn", "pandas")


@pytest.mark.parametrize(
    "statement",
    ["import bolus", "import bolus; bolus.errors", "import bolus.cli"],
)
def test_import_is_light(statement):
    check = f"{statement}\nimport sys\nprint([m for m in {HEAVY} if m in sys.modules])"

    loaded = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    ).stdout

    assert loaded.strip() == "[]"
