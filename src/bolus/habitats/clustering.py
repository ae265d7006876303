"""Habitats learnt once on a cohort, and applied unchanged to every lesion after.

A clustering of each lesion by itself calls the brightest third of any lesion hypervascular, and a
cohort's voxels let the largest tumours decide. Here every patient weighs the same, features are in
units that mean the same everywhere, and the model is frozen.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from bolus.core import LabelMap
from bolus.core.arrays import read_only
from bolus.core.provenance import Plain, Provenance, Step
from bolus.errors import Code, MetadataError, QuantityError
from bolus.habitats.differences import Differences, fit_differences, own_mixture
from bolus.habitats.mixture import Mixture, distances, fit_mixture, mixture_around, posterior
from bolus.habitats.model import FeatureScale, HabitatMap, HabitatModel
from bolus.habitats.naming import ANCHORS, HABITATS, name_centres
from bolus.habitats.scaling import common_features, draw_equally, fit_scales, scaled, unscaled
from bolus.habitats.table import VoxelTable

METHODS = ("mixture", "k-means")
SOURCE = "10.1158/1078-0432.CCR-20-2156"
DIFFERENCES_SOURCE = "10.2307/2529876"
_LEAST_VOXELS = 30
"""Voxels that a cluster needs, all patients together."""
_LEAST_SHARE = 0.005
"""A cluster below this share of voxels is noise."""
_UNUSUAL = 1e-3
"""Share of a habitat's own voxels that are called unusual."""
_STRANGE_SHARE = 0.95


def fit_habitats(
    tables: Sequence[VoxelTable],
    *,
    k: int = 3,
    method: str = "mixture",
    seed: int,
    voxels_per_patient: int = 2000,
    simulated: bool = False,
) -> HabitatModel:
    """Fit habitats on a cohort and freeze them.

    Every patient gives the same number of voxels, over all visits: as often as it takes each, and
    a seeded draw of the rest. nCBV, nCBF and Ktrans are taken as logarithms; every feature is
    centred and scaled over the drawn voxels. The mixture of Gaussians with full covariances is
    fitted by expectation and maximisation; three habitats of nCBV and ADC begin from the voxels
    nearest to each anchor of `naming`, anything else from k-means. With two patients or more,
    every patient then has shares and centres of its own about those of the cohort
    (`differences`), so that what differs between patients is not taken for a habitat. The result
    is the same for any order of the tables and any number of threads.

    Args:
        tables: visits of one or more patients, with the same features.
        k: how many habitats.
        method: "mixture", or "k-means" as the baseline of the papers.
        seed: of the draw and of the starts.
        voxels_per_patient: drawn from each.
        simulated: whether no real patient is among them; written into the model.

    Returns:
        Habitats in the order hypervascular, hypovascular, nonviable.

    Raises:
        QuantityError: features differ, voxels are too few, a cluster is empty or the fit does not
            settle (HABITATS_UNFIT); or physiology does not name the clusters (HABITATS_UNNAMED).
        MetadataError: the method or a number is not allowed.

    Assumes:
        Features mean the same on every scanner, as nCBV and ADC do; raw CBV does not.

    Source:
        Habitats of CBV and ADC by clustering of a cohort: Park et al., Clin Cancer Res
        2021;27:237. Mixture by expectation and maximisation: Dempster et al., J R Stat Soc B
        1977;39:1, as scikit-learn has it. Equal weight of patients, logarithms: set by us.

    Example:
        >>> from bolus.simulate.habitat_phantom import simulate_habitat_phantom
        >>> from bolus.habitats.features import voxel_table
        >>> tables = [voxel_table(lesion.maps, lesion.lesion, key=lesion.key)
        ...           for lesion in simulate_habitat_phantom(3, seed=1)]
        >>> model = fit_habitats(tables, seed=1, simulated=True)
        >>> model.names, len(model.fitted_on)
        (('hypervascular', 'hypovascular', 'nonviable'), 3)
    """
    _require_choice(k, method, voxels_per_patient)
    features = common_features(tables)
    drawn = draw_equally(tables, voxels_per_patient, seed=seed)
    if len(drawn) < k * _LEAST_VOXELS:
        raise _unfit(
            f"{len(drawn)} voxels for {k} habitats, expected at least {k * _LEAST_VOXELS}",
            mend="bring more patients or larger lesions",
        )
    scales = fit_scales(features, drawn)
    points = scaled(drawn, scales)
    subjects = frozenset(table.key.subject for table in tables)
    mixture = fit_mixture(
        points, k, seed=seed, hard=method == "k-means", start=_start(features, points, scales, k)
    )
    apart = None
    if method == "mixture" and len(subjects) > 1:
        apart = fit_differences(points.reshape(len(subjects), -1, len(features)), mixture)
        mixture = apart.marginal
    if not mixture.settled or mixture.weights.min() < _LEAST_SHARE:
        raise _unfit(
            f"{k} clusters do not settle (smallest share {100 * mixture.weights.min():.2g} %)",
            mend="choose fewer habitats or bring more patients",
        )
    names = name_centres(features, unscaled(mixture.centres, scales))
    order = sorted(range(k), key=lambda i: HABITATS.index(names[i]))
    settings: dict[str, Plain] = {
        "method": method, "habitats": k, "features": ", ".join(features),
        "patients": len(subjects), "voxels_per_patient": voxels_per_patient, "seed": seed,
        "simulated": simulated,
    }  # fmt: skip
    return HabitatModel(
        method=method,
        features=features,
        scales=scales,
        names=tuple(names[i] for i in order),
        weights=mixture.weights[order],
        centres=mixture.centres[order],
        covariances=mixture.covariances[order],
        limits=np.percentile(drawn, (1, 99), axis=0).T,
        fitted_on=subjects,
        simulated=simulated,
        provenance=Provenance().then(Step("habitats.fit_habitats", settings, source=SOURCE)),
        within=None if apart is None else apart.within[order],
        between=None if apart is None else _reordered(apart.between, order, len(features)),
    )


def adapt_habitats(model: HabitatModel, tables: Sequence[VoxelTable]) -> HabitatModel:
    """Return the model for one patient: centres moved as far as patients are known to differ.

    Every voxel of the patient says a little about how much blood and water its tissue has
    throughout; how patients differ says how far to believe it. Unlike a clustering of the lesion
    alone, a lesion without a habitat gets none. Adapt once, to the first visit, and use the result
    at all visits: what is adapted away is no change.

    Args:
        model: fitted on two patients or more.
        tables: of one patient.

    Returns:
        A model with the same names and shares of habitats, the patient's own centres, and
        covariances about them. It cannot be adapted again.

    Raises:
        QuantityError: the model does not know how patients differ, the tables are of several
            patients or none, or a feature is missing.

    Assumes:
        The patient is one of those that the cohort stands for.

    Source:
        Mixed effects: Laird and Ware, Biometrics 1982;38:963. Their use here: set by us;
        docs/science/habitats.md.

    Example:
        >>> from bolus.simulate.habitat_phantom import simulate_habitat_phantom
        >>> from bolus.habitats.features import voxel_table
        >>> tables = [voxel_table(lesion.maps, lesion.lesion, key=lesion.key)
        ...           for lesion in simulate_habitat_phantom(4, seed=1)]
        >>> own = adapt_habitats(fit_habitats(tables[1:], seed=1), tables[:1])
        >>> own.names
        ('hypervascular', 'hypovascular', 'nonviable')
    """
    subjects = {table.key.subject for table in tables}
    if model.within is None or model.between is None or len(subjects) != 1:
        raise _unfit(
            f"a model of {len(model.fitted_on)} patients by {model.method}, and voxels of "
            f"{len(subjects)} patients, cannot be brought together",
            mend="take a mixture fitted on two patients or more, and voxels of one patient",
        )
    values = np.concatenate([_columns(table, model) for table in tables])
    known = Differences(model.weights, model.centres, model.within, model.between)
    own = own_mixture(scaled(values, model.scales), known)
    away = (own.centres - model.centres).ravel()
    shift = np.sqrt(away @ np.linalg.solve(model.between, away) / away.size)
    settings = {"visits": len(tables), "shift": round(float(shift), 3)}
    return replace(
        model,
        centres=own.centres,
        covariances=model.within,
        provenance=model.provenance.then(
            Step("habitats.adapt_habitats", settings, source=DIFFERENCES_SOURCE)
        ),
        within=None,
        between=None,
    )


def assign_habitats(table: VoxelTable, model: HabitatModel) -> HabitatMap:
    """Return the habitat of every voxel of a lesion, and how sure it is.

    Each voxel stands alone; `smooth_membership` takes neighbours into account. Whether the
    patient took part in the fit is for the caller to ask (`HabitatModel.require_unseen`).

    Args:
        table: of one visit, with the features of the model in any order.
        model: frozen.

    Returns:
        Posterior probabilities (0 or 1 for k-means) and the most probable label. A voxel is
        unusual where fewer than one in a thousand of the voxels of its nearest habitat lie as
        far out.

    Raises:
        QuantityError: a feature of the model is missing, or 95 % of all voxels are unusual.

    Assumes:
        Features are measured as on the cohort of the model; its covariances hold the noise of that
        cohort, so `table.std` is not added.

    Source:
        As `fit_habitats`.

    Example:
        >>> from bolus.simulate.habitat_phantom import simulate_habitat_phantom
        >>> from bolus.habitats.features import voxel_table
        >>> tables = [voxel_table(lesion.maps, lesion.lesion, key=lesion.key)
        ...           for lesion in simulate_habitat_phantom(3, seed=1)]
        >>> found = assign_habitats(tables[0], fit_habitats(tables[1:], seed=1))
        >>> found.membership.shape == (tables[0].count, 3)
        True
    """
    values = _columns(table, model)
    mixture = Mixture(model.weights, model.centres, model.covariances)
    squared = distances(scaled(values, model.scales), mixture)
    unusual = squared.min(axis=1) > _limit(len(model.features))
    if unusual.mean() >= _STRANGE_SHARE and table.count >= _LEAST_VOXELS:
        middles = zip(model.features, np.median(values, axis=0), strict=True)
        raise _unfit(
            f"{100 * unusual.mean():.0f} % of {table.count} voxels are like nothing that the model "
            f"was fitted on (medians: {', '.join(f'{n} {v:.3g}' for n, v in middles)})",
            mend="check units and lesion, or fit a model on patients of this kind",
        )
    membership = _membership(values, squared, mixture, model)
    labels = np.zeros(table.mask.grid.shape, np.uint8)
    labels[table.mask.values] = membership.argmax(axis=1) + 1
    settings: dict[str, Plain] = {
        "habitats": ", ".join(model.names),
        "simulated_model": model.simulated,
        "voxels_left_out": table.left_out,
    }
    step = Step("habitats.assign_habitats", settings, source=SOURCE)
    return HabitatMap(
        key=table.key,
        labels=LabelMap(
            values=labels, grid=table.mask.grid, names=dict(enumerate(model.names, start=1))
        ),
        mask=table.mask,
        membership=read_only(membership),
        unusual=read_only(unusual),
        names=model.names,
        provenance=table.provenance.merged(model.provenance).then(step),
    )


def most_probable(
    values: Float[np.ndarray, "voxels features"], features: tuple[str, ...], model: HabitatModel
) -> np.ndarray:
    """Return the label of every row, 1 for the first habitat, whatever the rows are like.

    Args:
        values: in registry units.
        features: registry keys of the columns; all of the model's are among them.
        model: frozen.

    Assumes:
        The rows are repeats of a lesion that `assign_habitats` has accepted.

    Source:
        As `fit_habitats`.
    """
    columns = values[:, [features.index(name) for name in model.features]]
    mixture = Mixture(model.weights, model.centres, model.covariances)
    squared = distances(scaled(columns, model.scales), mixture)
    return np.asarray(_membership(columns, squared, mixture, model).argmax(axis=1) + 1)


def centres_of(model: HabitatModel) -> Float[np.ndarray, "habitats features"]:
    """Return the centres of a model in registry units.

    Args:
        model: fitted.

    Returns:
        Means; of a feature taken as logarithm, geometric means.

    Assumes:
        Nothing beyond the model.

    Source:
        Own.
    """
    return unscaled(model.centres, model.scales)


def _columns(table: VoxelTable, model: HabitatModel) -> np.ndarray:
    """Return the features of a model in its order."""
    if missing := [name for name in model.features if name not in table.features]:
        raise _unfit(
            f"the model needs {', '.join(model.features)} and there is no {missing[0]}",
            mend="compute it first, or take a model without it",
        )
    return table.values[:, [table.features.index(name) for name in model.features]]


def _reordered(between: np.ndarray, order: list[int], features: int) -> np.ndarray:
    """Return the covariance of all centres with the habitats in another order."""
    places = np.concatenate([np.arange(i * features, (i + 1) * features) for i in order])
    return np.asarray(between[np.ix_(places, places)])


def _start(
    features: tuple[str, ...], points: np.ndarray, scales: tuple[FeatureScale, ...], k: int
) -> Mixture | None:
    """Return the voxels nearest to each anchor as Gaussians, where every habitat has an anchor."""
    if k != len(HABITATS) or not {"ncbv", "adc"} <= set(features):
        return None
    known = {"ncbv": [a.ncbv for a in ANCHORS.values()],
             "adc": [a.adc_mm2_per_s for a in ANCHORS.values()]}  # fmt: skip
    unknown = [1.0] * k
    anchors = np.array([known.get(name, unknown) for name in features]).T
    anchors = scaled(anchors, scales)
    anchors[:, [name not in known for name in features]] = np.nan
    return mixture_around(points, anchors)


def _membership(
    values: np.ndarray, squared: np.ndarray, mixture: Mixture, model: HabitatModel
) -> np.ndarray:
    """Return probabilities, or the nearest centre for k-means."""
    if model.method == "mixture":
        return posterior(squared, mixture)
    points = scaled(values, model.scales)
    away = ((points[:, None, :] - mixture.centres) ** 2).sum(axis=2)
    return np.asarray(np.eye(len(model.names))[away.argmin(axis=1)])


def _limit(features: int) -> float:
    from scipy.stats import chi2

    return float(chi2.isf(_UNUSUAL, features))


def _require_choice(k: int, method: str, voxels_per_patient: int) -> None:
    if method not in METHODS or not 2 <= k <= 12 or voxels_per_patient < 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{k} habitats by {method!r} with {voxels_per_patient} voxels a patient",
            mend=f"choose 2 to 12 habitats, one of {', '.join(METHODS)}, and at least one voxel",
        )


def _unfit(message: str, *, mend: str) -> QuantityError:
    return QuantityError(Code.HABITATS_UNFIT, message, mend=mend)
