"""The arterial curve of DCE by networks, and the patient's own where they do not know its like."""

import warnings
from typing import TYPE_CHECKING

import numpy as np

from bolus import quantify
from bolus.core import ArterialInput, Assumed, Step, TimeAxis
from bolus.errors import QualityWarning
from bolus.workflows.networks import chosen_weights

if TYPE_CHECKING:
    from bolus.core import Weights

_KIND = "aif-translation"
_SOURCE = "10.1148/radiol.2020192763"


def translated_artery(
    artery: ArterialInput,
    own: ArterialInput,
    vein: ArterialInput | None,
    *,
    dose_mmol_per_kg: float | None,
    haematocrit: float | Assumed,
    weights: "Weights | None" = None,
) -> ArterialInput:
    """Return the plasma curve that networks make of an artery, or that of the patient's own.

    Args:
        artery: as measured, concentration in whole blood [mM].
        own: what is used where the networks were trained on nothing like it, in whole blood [mM].
        vein: on the same frames, where one was found.
        dose_mmol_per_kg: where it is known.
        haematocrit: of large vessels, for the patient's own curve.
        weights: None for those that come with bolus.

    Returns:
        Concentration in plasma [mM]; its score is the quality that the networks give it.

    Warns:
        QualityWarning: the curve or its frames are unlike those of the training.

    Raises:
        ResourceError: torch is not installed.
        QuantityError, TimingError: the curve cannot be read.
    """
    held = weights or chosen_weights(None, kind=_KIND)
    from bolus.nets.aif_translate import translate_aif

    seconds = artery.time.seconds
    found = translate_aif(
        artery.values, seconds, held,
        vein=None if vein is None else vein.values, dose_mmol_per_kg=dose_mmol_per_kg,
    )  # fmt: skip
    outside = list(
        held.card.protocol.outside(
            {
                "interval_s": float(np.median(np.diff(seconds))),
                "duration_s": float(seconds[-1] - seconds[0]),
            }
        )
    )
    if not found.usable:
        outside.append(f"the arterial curve is {found.unlike:.2g} times as unlike as 99 % of them")
    if outside:
        warnings.warn(
            QualityWarning(
                f"networks were trained on no such arterial curve ({'; '.join(outside)}): the "
                "patient's own is used"
            ),
            stacklevel=2,
        )
        return quantify.aif_in_plasma(own, haematocrit=haematocrit)
    step = Step(
        "nets.translate_aif",
        {
            "network": held.card.name,
            "weights": held.digest()[:12],
            "quality": round(found.quality, 4),
            "unlike": round(found.unlike, 4),
        },
        source=_SOURCE,
    )
    merged = artery.provenance if vein is None else artery.provenance.merged(vein.provenance)
    return ArterialInput(
        values=found.concentration,
        time=TimeAxis(seconds=found.seconds),
        quantity=artery.quantity,
        method="learned",
        provenance=merged.then(step),
        voxels=artery.voxels,
        score=found.quality,
    )
