"""What each tissue of the simulated head is made of, with the source of every number."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bolus.simulate.physics import NativeTissue


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueModel:
    """Mean values of one tissue; voxels scatter around them.

    `cbv` [mL/100mL], `mtt_s`, `delay_s` behind the artery, `ktrans_per_min`, `ve` [mL/100mL],
    `r2s_extravascular` [1/s per mM] of leaked agent, `spread` the standard deviation of ln(CBV)
    from place to place; `native` by field strength [T].
    """

    cbv: float
    mtt_s: float
    delay_s: float
    native: Mapping[float, NativeTissue]
    ktrans_per_min: float = 0.0
    ve: float = 0.0
    r2s_extravascular: float = 0.0
    spread: float = 0.0


def _native(
    density: float, at_1t5: tuple[float, float], at_3t: tuple[float, float]
) -> Mapping[float, NativeTissue]:
    """Pair relaxation times (T1, T2*) [s] at the two fields."""
    return MappingProxyType(
        {
            field: NativeTissue(t1_s=t1_s, t2s_s=t2s_s, proton_density=density)
            for field, (t1_s, t2s_s) in ((1.5, at_1t5), (3.0, at_3t))
        }
    )


ARTERY = "artery"
VEIN = "vein"
SCALP = "scalp"

TISSUES: Mapping[str, TissueModel] = MappingProxyType(
    {
        "csf": TissueModel(
            cbv=0.1, mtt_s=5.0, delay_s=1.0, native=_native(1.0, (3.8, 0.5), (3.8, 0.3))
        ),
        "gm": TissueModel(
            cbv=5.3, mtt_s=4.4, delay_s=0.6, spread=0.10,
            native=_native(0.82, (1.12, 0.084), (1.33, 0.066)),
        ),
        "wm": TissueModel(
            cbv=1.9, mtt_s=5.0, delay_s=1.2, spread=0.07,
            native=_native(0.70, (0.88, 0.066), (0.83, 0.053)),
        ),
        "choroid": TissueModel(
            cbv=8.0, mtt_s=6.0, delay_s=1.0, spread=0.10, ktrans_per_min=0.20, ve=25.0,
            r2s_extravascular=45.0, native=_native(0.90, (1.4, 0.09), (1.7, 0.07)),
        ),
        "oedema": TissueModel(
            cbv=1.5, mtt_s=5.6, delay_s=1.4, spread=0.12,
            native=_native(0.88, (1.3, 0.11), (1.5, 0.09)),
        ),
        "necrosis": TissueModel(
            cbv=0.4, mtt_s=9.0, delay_s=2.0, spread=0.25, ktrans_per_min=0.010, ve=45.0,
            r2s_extravascular=10.0, native=_native(0.95, (2.0, 0.16), (2.3, 0.13)),
        ),
        "hypovascular": TissueModel(
            cbv=2.7, mtt_s=6.5, delay_s=1.2, spread=0.15, ktrans_per_min=0.08, ve=25.0,
            r2s_extravascular=15.0, native=_native(0.87, (1.3, 0.10), (1.6, 0.08)),
        ),
        "hypervascular": TissueModel(
            cbv=9.5, mtt_s=5.5, delay_s=0.8, spread=0.18, ktrans_per_min=0.15, ve=30.0,
            r2s_extravascular=35.0, native=_native(0.86, (1.25, 0.09), (1.5, 0.07)),
        ),
        SCALP: TissueModel(
            cbv=1.0, mtt_s=8.0, delay_s=3.0, native=_native(0.30, (0.5, 0.05), (0.6, 0.04))
        ),
    }
)  # fmt: skip
"""Everything that capillaries supply. Sources: docs/science/simulator.md, table of tissues."""

BLOOD = _native(0.90, (1.44, 0.13), (1.65, 0.055))
"""Blood of arteries and veins, before the agent."""

TUMOUR_LABELS: Mapping[int, str] = MappingProxyType(
    {1: "necrosis", 2: "oedema", 3: "hypovascular", 4: "hypervascular"}
)

TISSUE_LABELS: Mapping[int, str] = MappingProxyType(
    {n + 1: name for n, name in enumerate((*TISSUES, ARTERY, VEIN))}
)
"""Labels of the map of tissues; 0 is air and bone."""
