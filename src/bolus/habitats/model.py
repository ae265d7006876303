"""A set of habitats learnt once on a cohort, and what it says of one lesion."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from bolus.core import LabelMap, Mask, SessionKey
from bolus.core.arrays import read_only
from bolus.core.provenance import Provenance
from bolus.errors import Code, LeakageError, QuantityError


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureScale:
    """How a feature is made comparable: (f(value) - centre) / spread.

    `transform` is "linear" or "log" (natural logarithm of the value after it was lifted to at
    least `floor`, so that negative and zero values of noise stay).
    """

    transform: str
    centre: float
    spread: float
    floor: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HabitatModel:
    """Habitats as a mixture in scaled features, frozen after it was fitted on a cohort.

    Label i + 1 is the habitat `names[i]`. `method` is "mixture" (full covariances; memberships are
    posterior probabilities) or "k-means" (memberships are 0 or 1). `simulated` says that no real
    patient is in it. `limits` are, per feature, the lowest and highest value [registry unit] that
    the fit has seen (1st and 99th percentile).

    `covariances` hold what differs between patients too. Where it is known apart, `within` is the
    covariance about a patient's own centres, and `between` that of all centres of a patient, one
    after the other, about those of the cohort: `adapt_habitats` needs both.
    """

    method: str
    features: tuple[str, ...]
    scales: tuple[FeatureScale, ...]
    names: tuple[str, ...]
    weights: Float[np.ndarray, " habitats"]
    centres: Float[np.ndarray, "habitats features"]
    covariances: Float[np.ndarray, "habitats features features"]
    limits: Float[np.ndarray, "features 2"]
    fitted_on: frozenset[str]
    simulated: bool
    provenance: Provenance
    within: Float[np.ndarray, "habitats features features"] | None = None
    between: Float[np.ndarray, "all all"] | None = None

    def __post_init__(self) -> None:
        k, f = len(self.names), len(self.features)
        shapes = (self.weights.shape, self.centres.shape, self.covariances.shape, self.limits.shape)
        if shapes != ((k,), (k, f), (k, f, f), (f, 2)) or len(self.scales) != f:
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"weights, centres, covariances and limits of shapes {shapes} do not fit {k} "
                f"habitats and {f} features",
                mend="build the model with habitats.fit_habitats",
            )
        for name in ("weights", "centres", "covariances", "limits"):
            object.__setattr__(self, name, read_only(np.asarray(getattr(self, name), np.float64)))

        if (self.within is None) != (self.between is None) or (
            self.within is not None
            and self.between is not None
            and (self.within.shape != (k, f, f) or self.between.shape != (k * f, k * f))
        ):
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"covariances within and between patients do not fit {k} habitats and {f} features",
                mend="build the model with habitats.fit_habitats",
            )
        for name in ("within", "between"):
            if (values := getattr(self, name)) is not None:
                object.__setattr__(self, name, read_only(np.asarray(values, np.float64)))

    def require_unseen(self, subjects: frozenset[str]) -> None:
        """Refuse subjects that the model was fitted on.

        Raises:
            LeakageError: any of them took part in the fit.
        """
        if seen := self.fitted_on & subjects:
            raise LeakageError(
                Code.SPLIT_LEAKS,
                f"{len(seen)} of {len(subjects)} subjects were used to fit this model (first: "
                f"{min(seen)})",
                mend="fit the model on the training subjects only",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HabitatMap:
    """Habitats of one lesion: a label and a soft membership for each voxel.

    `labels` are 0 outside and where a feature is missing, else i + 1 for `names[i]`. Row i of
    `membership` (each row sums to 1) belongs to the i-th voxel of `mask` in C order. `unusual`
    marks voxels whose features are far from all that the model has seen.
    """

    key: SessionKey
    labels: LabelMap
    mask: Mask
    membership: Float[np.ndarray, "voxels habitats"]
    unusual: np.ndarray
    names: tuple[str, ...]
    provenance: Provenance

    @property
    def volumes_ml(self) -> Mapping[str, float]:
        """Volume [mL] of every habitat, by its label."""
        voxel = self.labels.grid.voxel_volume_ml
        counts = np.bincount(self.labels.values.ravel(), minlength=len(self.names) + 1)[1:]
        return MappingProxyType(
            {name: float(n) * voxel for name, n in zip(self.names, counts, strict=True)}
        )

    @property
    def expected_volumes_ml(self) -> Mapping[str, float]:
        """Volume [mL] of every habitat as the sum of memberships."""
        total = self.membership.sum(axis=0) * self.labels.grid.voxel_volume_ml
        return MappingProxyType(dict(zip(self.names, total.tolist(), strict=True)))
