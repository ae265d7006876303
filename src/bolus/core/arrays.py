"""Arrays as the rest of the package passes them: read-only, and named by their axes."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Shaped

Curve: TypeAlias = Float[np.ndarray, " t"]
Curves: TypeAlias = Float[np.ndarray, "voxels t"]
Volume: TypeAlias = Shaped[np.ndarray, "x y z"]
MaskVolume: TypeAlias = Bool[np.ndarray, "x y z"]
Affine: TypeAlias = Float[np.ndarray, "4 4"]


def read_only(values: np.ndarray) -> np.ndarray:
    """Return a view that cannot be written to; nothing is copied."""
    view = values.view()
    view.flags.writeable = False
    return view
