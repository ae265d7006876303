"""The perfusion habitat ratio: which share of a region's curves has each code."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Integer

from bolus.errors import Code, QuantityError


def perfusion_ratio(codes: Integer[np.ndarray, " n"], *, count: int) -> Float[np.ndarray, " count"]:
    """Return the share [%] of every code among curves that have one.

    Args:
        codes: from 1 to `count`, 0 for none.
        count: how many codes there are.

    Returns:
        Percent by code, H1 first; NaN if no curve has a code.

    Raises:
        QuantityError: a code is above `count`.

    Assumes:
        Each curve stands for the same volume.

    Source:
        github jhlee0619/Glioma-Tumor-Habitat, doi 10.5281/zenodo.21350691.

    Example:
        >>> perfusion_ratio(np.array([1, 2, 2, 2, 0]), count=3)
        array([25., 75.,  0.])
    """
    found = np.bincount(codes, minlength=count + 1)
    if len(found) > count + 1:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"code {len(found) - 1} among {count} codes",
            mend="give the number of codes of the network that made them",
        )
    total = found[1:].sum()
    return np.asarray(100 * found[1:] / total if total else np.full(count, np.nan))


def regional_ratios(
    codes: Integer[np.ndarray, " n"],
    regions: Mapping[str, Bool[np.ndarray, " n"]],
    *,
    count: int,
) -> dict[str, Float[np.ndarray, " count"]]:
    """Return the ratio of every region of one tumour, and of the "whole" of it.

    Args:
        codes: of all curves of the tumour.
        regions: which curves are in each region, such as "enhancing".
        count: how many codes there are.

    Raises:
        QuantityError: a code is above `count`.

    Assumes:
        As `perfusion_ratio`.

    Source:
        As `perfusion_ratio`.

    Example:
        >>> found = regional_ratios(np.array([1, 2]), {"oedema": np.array([False, True])}, count=2)
        >>> found["oedema"], found["whole"]
        (array([  0., 100.]), array([50., 50.]))
    """
    own = {name: perfusion_ratio(codes[inside], count=count) for name, inside in regions.items()}
    return own | {"whole": perfusion_ratio(codes, count=count)}


def ratio_table(
    codes: Sequence[Integer[np.ndarray, " n"]], *, count: int
) -> Float[np.ndarray, "exams count"]:
    """Return the ratio of every exam, a row each.

    Args:
        codes: of every exam.
        count: how many codes there are.

    Assumes:
        As `perfusion_ratio`.

    Source:
        As `perfusion_ratio`.
    """
    return np.array([perfusion_ratio(own, count=count) for own in codes]).reshape(-1, count)
