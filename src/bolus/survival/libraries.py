"""The optional statistics library, asked for where it is needed because it is slow to import."""

from importlib.util import find_spec

from bolus.errors import Code, ResourceError


def require_lifelines() -> None:
    """Raise unless lifelines is installed.

    Raises:
        ResourceError: it is absent.

    Assumes:
        Nothing.

    Source:
        A check; no publication.
    """
    if find_spec("lifelines") is None:
        raise ResourceError(
            Code.EXTRA_MISSING,
            "lifelines is not installed",
            mend='install it with: pip install "bolus[stats]"',
        )
