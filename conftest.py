"""What every test and every docstring example finds."""

from pathlib import Path

import numpy as np
import pytest

import bolus.core

REFERENCE = Path(__file__).parent.parent / "shared"


@pytest.fixture(autouse=True)
def _names_for_examples(doctest_namespace: dict[str, object]) -> None:
    """Docstring examples know numpy and the core types, as their readers do."""
    doctest_namespace["np"] = np
    doctest_namespace.update({name: getattr(bolus.core, name) for name in bolus.core.__all__})


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of reference data beside the checkout; tests skip where it is absent."""
    if not (REFERENCE / "data").is_dir():
        pytest.skip("reference data absent: see docs/how-to/reference_data.md")
    return REFERENCE
