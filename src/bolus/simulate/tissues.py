"""What each tissue of the simulated head is made of, with the source of every number."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bolus.simulate.physics import NativeTissue


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueModel:
    """Mean values of one tissue; voxels scatter around them.

    `cbv` [mL/100mL], `mtt_s`, `delay_s` behind the artery, `ktrans_per_min`, `ve` [mL/100mL],
    `r2s_extravascular` [1/s per mM] of leaked agent at 3 T, `vessel_radius_um` the mean radius of
    its small vessels, `adc_mm2_per_s`, `spread` the standard deviation of ln(CBV) from place to
    place; `native` by field strength [T].
    """

    cbv: float
    mtt_s: float
    delay_s: float
    native: Mapping[float, NativeTissue]
    adc_mm2_per_s: float
    ktrans_per_min: float = 0.0
    ve: float = 0.0
    r2s_extravascular: float = 0.0
    vessel_radius_um: float = 5.0
    spread: float = 0.0


def _native(
    density: float, at_1t5: tuple[float, float, float], at_3t: tuple[float, float, float]
) -> Mapping[float, NativeTissue]:
    """Pair relaxation times (T1, T2, T2*) [s] at the two fields."""
    return MappingProxyType(
        {
            field: NativeTissue(t1_s=t1_s, t2_s=t2_s, t2s_s=t2s_s, proton_density=density)
            for field, (t1_s, t2_s, t2s_s) in ((1.5, at_1t5), (3.0, at_3t))
        }
    )


ARTERY = "artery"
VEIN = "vein"
SCALP = "scalp"

TISSUES: Mapping[str, TissueModel] = MappingProxyType(
    {
        "csf": TissueModel(
            cbv=0.1, mtt_s=5.0, delay_s=1.0, adc_mm2_per_s=3.0e-3,
            native=_native(1.0, (3.8, 1.8, 0.5), (3.8, 1.6, 0.3)),
        ),
        "gm": TissueModel(
            cbv=5.3, mtt_s=4.4, delay_s=0.6, spread=0.10, adc_mm2_per_s=0.85e-3,
            native=_native(0.82, (1.12, 0.095, 0.084), (1.33, 0.099, 0.066)),
        ),
        "wm": TissueModel(
            cbv=1.9, mtt_s=5.0, delay_s=1.2, spread=0.07, adc_mm2_per_s=0.75e-3,
            native=_native(0.70, (0.88, 0.072, 0.066), (0.83, 0.069, 0.053)),
        ),
        "choroid": TissueModel(
            cbv=18.0, mtt_s=9.0, delay_s=2.0, spread=0.10, ktrans_per_min=0.90, ve=30.0,
            r2s_extravascular=40.0, adc_mm2_per_s=1.4e-3,
            native=_native(0.90, (1.4, 0.13, 0.09), (1.7, 0.11, 0.07)),
        ),
        "oedema": TissueModel(
            cbv=1.5, mtt_s=5.6, delay_s=1.4, spread=0.12, adc_mm2_per_s=1.45e-3,
            native=_native(0.88, (1.3, 0.17, 0.11), (1.5, 0.15, 0.09)),
        ),
        "infiltrated": TissueModel(
            cbv=2.1, mtt_s=5.5, delay_s=1.2, spread=0.12, adc_mm2_per_s=1.10e-3,
            native=_native(0.82, (1.15, 0.12, 0.085), (1.25, 0.11, 0.07)),
        ),
        "necrosis": TissueModel(
            cbv=0.4, mtt_s=9.0, delay_s=2.0, spread=0.25, ktrans_per_min=0.010, ve=45.0,
            r2s_extravascular=10.0, adc_mm2_per_s=2.2e-3,
            native=_native(0.95, (2.0, 0.30, 0.16), (2.3, 0.26, 0.13)),
        ),
        "nonviable": TissueModel(
            cbv=1.3, mtt_s=7.5, delay_s=1.6, spread=0.20, ktrans_per_min=0.05, ve=45.0,
            r2s_extravascular=10.0, adc_mm2_per_s=1.85e-3,
            native=_native(0.92, (1.7, 0.20, 0.13), (1.9, 0.17, 0.10)),
        ),
        "hypovascular": TissueModel(
            cbv=3.0, mtt_s=6.5, delay_s=1.2, spread=0.20, ktrans_per_min=0.08, ve=25.0,
            r2s_extravascular=15.0, adc_mm2_per_s=1.20e-3, vessel_radius_um=8.0,
            native=_native(0.87, (1.3, 0.13, 0.10), (1.6, 0.12, 0.08)),
        ),
        "hypervascular": TissueModel(
            cbv=10.5, mtt_s=5.5, delay_s=0.8, spread=0.22, ktrans_per_min=0.15, ve=30.0,
            r2s_extravascular=35.0, adc_mm2_per_s=1.00e-3, vessel_radius_um=15.0,
            native=_native(0.86, (1.25, 0.12, 0.09), (1.5, 0.11, 0.07)),
        ),
        "radiation": TissueModel(
            cbv=1.4, mtt_s=7.0, delay_s=1.4, spread=0.20, ktrans_per_min=0.07, ve=35.0,
            r2s_extravascular=8.0, adc_mm2_per_s=1.70e-3,
            native=_native(0.90, (1.5, 0.17, 0.11), (1.7, 0.15, 0.09)),
        ),
        "cavity": TissueModel(
            cbv=0.1, mtt_s=5.0, delay_s=1.0, adc_mm2_per_s=2.8e-3,
            native=_native(1.0, (3.2, 1.0, 0.4), (3.2, 0.9, 0.25)),
        ),
        SCALP: TissueModel(
            cbv=1.0, mtt_s=8.0, delay_s=3.0, adc_mm2_per_s=0.3e-3,
            native=_native(0.30, (0.5, 0.06, 0.05), (0.6, 0.05, 0.04)),
        ),
    }
)  # fmt: skip
"""Everything that capillaries supply. Sources: docs/explanation/simulator.md, table of tissues."""

BLOOD = _native(0.90, (1.44, 0.25, 0.13), (1.65, 0.15, 0.055))
"""Blood of arteries and veins, before the agent."""

TUMOUR_LABELS: Mapping[int, str] = MappingProxyType(
    {
        1: "necrosis",
        2: "oedema",
        3: "hypovascular",
        4: "hypervascular",
        5: "nonviable",
        6: "infiltrated",
        7: "radiation",
        8: "cavity",
    }
)

HABITAT_LABELS: Mapping[int, str] = MappingProxyType(
    {1: "hypervascular", 2: "hypovascular", 3: "nonviable", 4: "oedema", 5: "infiltrated"}
)
"""Habitats of Park et al. (Clin Cancer Res 2021;27:237) and what surrounds them."""

HABITAT_OF: Mapping[str, str] = MappingProxyType(
    {
        "hypervascular": "hypervascular",
        "hypovascular": "hypovascular",
        "nonviable": "nonviable",
        "necrosis": "nonviable",
        "radiation": "nonviable",
        "oedema": "oedema",
        "infiltrated": "infiltrated",
    }
)
"""The habitat that each tissue of the tumour belongs to; a cavity belongs to none."""

TISSUE_LABELS: Mapping[int, str] = MappingProxyType(
    {n + 1: name for n, name in enumerate((*TISSUES, ARTERY, VEIN))}
)
"""Labels of the map of tissues; 0 is air and bone."""
