"""One unit per quantity in the whole system, and one table that says which.

Files, reports, tables and exporters read names, units, ranges and codes from here.
Conversion happens once, at the edge, with `Quantity.from_unit`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from bolus.errors import Code, QuantityError

NOT_LISTED = "not listed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """What a number is: its name, its one unit, where it is plausible, and its codes.

    `low` and `high` bound what tissue can plausibly have: a flag for quality control, never a clip.
    `caplex` is the OSIPI CAPLEX code or "not listed"; `dicom` the DICOM concept code or "".
    """

    key: str
    name: str
    unit: str
    low: float
    high: float
    caplex: str = NOT_LISTED
    dicom: str = ""
    symbol: str = ""

    def from_unit(self, values: "np.ndarray | float", unit: str) -> "np.ndarray | float":
        """Convert numbers that were read in `unit` into the unit of this quantity.

        Args:
            values: numbers in `unit`.
            unit: a unit named in `_FACTORS` for this quantity's unit, or that unit itself.

        Returns:
            The numbers in `self.unit`.

        Raises:
            QuantityError: the unit is not one of this quantity.

        Example:
            >>> float(QUANTITIES["mtt"].from_unit(4200.0, "ms"))
            4.2
        """
        if unit == self.unit:
            return values
        factor = _FACTORS.get((unit, self.unit))
        if factor is None:
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"{unit!r} is not a unit of {self.name}; expected {self.unit!r}",
                mend=f"convert the values to {self.unit}",
            )
        return values * factor

    def is_plausible(self, values: np.ndarray) -> np.ndarray:
        """Return where values lie within the plausible range (NaN does not)."""
        return np.asarray((values >= self.low) & (values <= self.high))


_FACTORS: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("ms", "s"): 1e-3,
        ("min", "s"): 60.0,
        ("1/ms", "1/s"): 1e3,
        ("1/min", "1/s"): 1 / 60.0,
        ("1/s", "1/min"): 60.0,
        ("mL/mL", "mL/100mL"): 100.0,
        ("1", "mL/100mL"): 100.0,
        ("mL/mL/s", "mL/min/100mL"): 6000.0,
        ("1/s", "mL/min/100mL"): 6000.0,
        ("1", "%"): 100.0,
        ("um2/ms", "mm2/s"): 1e-3,
        ("mM min", "mM s"): 60.0,
        ("mol/L", "mM"): 1e3,
    }
)

_TABLE = (
    Quantity(key="signal", name="signal", unit="a.u.", low=-np.inf, high=np.inf,
             caplex="Q.MS1.001", symbol="S"),
    Quantity(key="delta_r2s", name="change of transverse relaxation rate", unit="1/s", low=-50,
             high=300, caplex="Q.EL1.009", symbol="ΔR2*"),
    Quantity(key="r10", name="native longitudinal relaxation rate", unit="1/s", low=0.15, high=5,
             caplex="Q.EL1.002", symbol="R10"),
    Quantity(key="t10", name="native longitudinal relaxation time", unit="s", low=0.2, high=6,
             caplex="Q.EL1.001", symbol="T10"),
    Quantity(key="conc", name="contrast agent concentration", unit="mM", low=-1, high=60,
             caplex="Q.IC1.001", dicom="126377", symbol="C"),
    Quantity(key="cbv", name="cerebral blood volume", unit="mL/100mL", low=0, high=25,
             caplex="Q.PH1.001.b", dicom="126391", symbol="CBV"),
    Quantity(key="rcbv", name="relative cerebral blood volume, not referenced", unit="ratio",
             low=-np.inf, high=np.inf, dicom="126398", symbol="rCBV"),
    Quantity(key="ncbv", name="cerebral blood volume over that of normal-appearing white matter",
             unit="ratio", low=0, high=20, dicom="126398", symbol="nCBV"),
    Quantity(key="srcbv", name="standardised relative cerebral blood volume", unit="a.u.", low=0,
             high=20, dicom="126398", symbol="srCBV"),
    Quantity(key="cbf", name="cerebral blood flow", unit="mL/min/100mL", low=0, high=300,
             caplex="Q.PH1.003", dicom="126390", symbol="CBF"),
    Quantity(key="ncbf", name="cerebral blood flow over that of normal-appearing white matter",
             unit="ratio", low=0, high=20, symbol="nCBF"),
    Quantity(key="mtt", name="mean transit time", unit="s", low=0.5, high=30, caplex="Q.PH1.006",
             dicom="113052", symbol="MTT"),
    Quantity(key="tmax", name="time to the maximum of the residue function", unit="s", low=-5,
             high=25, dicom="113084", symbol="Tmax"),
    Quantity(key="ttp", name="time to peak", unit="s", low=0, high=120, caplex="Q.CD1.010",
             dicom="113069", symbol="TTP"),
    Quantity(key="bat", name="bolus arrival time", unit="s", low=0, high=120, caplex="Q.BA1.001",
             dicom="126371", symbol="BAT"),
    Quantity(key="delay", name="delay of the tissue behind the artery", unit="s", low=-10, high=20,
             symbol="delay"),
    Quantity(key="ktrans", name="volume transfer constant", unit="1/min", low=0, high=2,
             caplex="Q.PH1.008", dicom="126312", symbol="Ktrans"),
    Quantity(key="kep", name="reflux rate constant", unit="1/min", low=0, high=10,
             caplex="Q.PH1.009", dicom="126313", symbol="kep"),
    Quantity(key="ve", name="volume fraction of the extravascular extracellular space",
             unit="mL/100mL", low=0, high=100, caplex="Q.PH1.001.e", dicom="126314", symbol="ve"),
    Quantity(key="vp", name="volume fraction of blood plasma", unit="mL/100mL", low=0, high=60,
             caplex="Q.PH1.001.p", dicom="126331", symbol="vp"),
    Quantity(key="ps", name="permeability surface area product", unit="mL/min/100mL", low=0,
             high=200, caplex="Q.PH1.004", symbol="PS"),
    Quantity(key="fp", name="plasma flow", unit="mL/min/100mL", low=0, high=300,
             caplex="Q.PH1.002", symbol="Fp"),
    Quantity(key="k1", name="leakage model: scale of the reference curve", unit="1", low=0,
             high=20, caplex="Q.LC1.001", symbol="K1"),
    Quantity(key="k2", name="leakage model: leakage coefficient", unit="1/s", low=-0.3, high=0.3,
             caplex="Q.LC1.002", symbol="K2"),
    Quantity(key="iauc60", name="initial area under the concentration curve over 60 s",
             unit="mM s", low=-10, high=600, caplex="Q.CD1.013", dicom="126321", symbol="IAUC60"),
    Quantity(key="ssarea", name="mean relative enhancement in the steady state", unit="ratio",
             low=-1, high=20, symbol="SSA"),
    Quantity(key="r2", name="share of the curve's variance that the fit explains", unit="1",
             low=-np.inf, high=1, symbol="R²"),
    Quantity(key="residual", name="standard deviation of the curve about the fit", unit="mM",
             low=0, high=60, symbol="residual"),
    Quantity(key="psr", name="percentage signal recovery", unit="%", low=0, high=250,
             symbol="PSR"),
    Quantity(key="ph", name="peak height of ΔR2*", unit="1/s", low=0, high=300, symbol="PH"),
    Quantity(key="adc", name="apparent diffusion coefficient", unit="mm2/s", low=0, high=4e-3,
             dicom="113041", symbol="ADC"),
    Quantity(key="codedistance", name="misfit of the signal curve to the code it was given",
             unit="1", low=0, high=np.inf, symbol="misfit"),
)  # fmt: skip

LATENTS = tuple(f"latent{place}" for place in range(1, 9))
"""Keys of the coordinates that a network gives a voxel's curve, before they become a code."""
_LATENTS = tuple(
    Quantity(key=key, name=f"coordinate {place} of the signal curve in the network of codes",
             unit="a.u.", low=-np.inf, high=np.inf, symbol=f"z{place}")
    for place, key in enumerate(LATENTS, start=1)
)  # fmt: skip

INTERVAL_KEYS: Mapping[str, tuple[str, str, str, str]] = MappingProxyType(
    {key: (f"{key}median", f"{key}low", f"{key}high", f"{key}epistemic")
     for key in ("ktrans", "ve", "vp")}
)  # fmt: skip
"""What a network says of a quantity: its median, both ends of its 90 % interval, and how much
of it the network does not know."""


def _interval_of(item: Quantity) -> tuple[Quantity, ...]:
    """Return the quantities of `INTERVAL_KEYS`, in the unit of the one they are about."""
    words = (
        ("median of what is likely, by a network", "median"),
        ("lower end of the 90 % interval", "low"),
        ("upper end of the 90 % interval", "high"),
        ("standard deviation that is left to the network's lack of knowledge", "epistemic"),
    )  # fmt: skip
    return tuple(
        replace(item, key=key, name=f"{item.name}: {name}", symbol=f"{item.symbol} {short}",
                caplex=NOT_LISTED, dicom="")
        for key, (name, short) in zip(INTERVAL_KEYS[item.key], words, strict=True)
    )  # fmt: skip


_INTERVALS = tuple(q for item in _TABLE if item.key in INTERVAL_KEYS for q in _interval_of(item))
QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {q.key: q for q in (*_TABLE, *_LATENTS, *_INTERVALS)}
)

SIGNAL = QUANTITIES["signal"]
DELTA_R2S = QUANTITIES["delta_r2s"]
CONCENTRATION = QUANTITIES["conc"]
