"""bolus: perfusion MRI of brain tumours, from the scanner to numbers people can trust.

Research use only. Not a medical device. Not for diagnosis or treatment decisions.

The sub-packages are loaded when first used, so `import bolus` costs nothing::

    import bolus
    maps = bolus.quantify.dsc_maps(...)
"""

from importlib import import_module
from types import ModuleType

from bolus._version import VERSION as __version__  # noqa: N811 - the name Python expects

RESEARCH_USE = "Research use only. Not a medical device. Not for diagnosis or treatment decisions."

_SUBPACKAGES = frozenset(
    {
        "core",
        "errors",
        "graphs",
        "habitats",
        "io",
        "metrics",
        "nets",
        "preprocess",
        "quantify",
        "report",
        "simulate",
        "survival",
        "workflows",
    }
)

__all__ = ["RESEARCH_USE", "__version__", *sorted(_SUBPACKAGES)]  # noqa: PLE0604 - names of modules


def __getattr__(name: str) -> ModuleType:
    """Load a sub-package on first use."""
    if name in _SUBPACKAGES:
        return import_module(f"bolus.{name}")
    raise AttributeError(f"module 'bolus' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the sub-packages beside the plain names."""
    return sorted(__all__)
