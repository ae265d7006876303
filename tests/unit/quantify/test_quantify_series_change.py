"""What changed between two series, against changes that were made on purpose."""

import numpy as np
import pytest

from bolus.core import Acquisition, Grid, Mask, PerfusionSeries, Provenance, TimeAxis, stream
from bolus.core.quantities import SIGNAL
from bolus.errors import GeometryError
from bolus.quantify.series_change import series_change

SHAPE = (12, 12, 8)
GRID = Grid(shape=SHAPE, affine=np.eye(4))
BRAIN = Mask(values=np.ones(SHAPE, bool), grid=GRID, name="brain")
SECONDS = 1.5 * np.arange(50)
PASSAGE = np.exp(-(((SECONDS - 30) / 5) ** 2))
HEIGHT = np.full(SHAPE, 0.1)
HEIGHT[4:6, 4:6, 2:7] = 1.2
NOISE = stream(1, "series").normal(0, 5.0, (*SHAPE, 50))


def series(values, grid=GRID):
    return PerfusionSeries(
        values=values, quantity=SIGNAL, grid=grid, time=TimeAxis(seconds=SECONDS),
        acquisition=Acquisition(), provenance=Provenance(),
    )  # fmt: skip


def falling(height):
    return 500 * np.exp(-height[..., None] * PASSAGE)


def rising(height):
    return 500 * (1 + height[..., None] * PASSAGE)


@pytest.mark.parametrize(("made", "falls"), [(falling, True), (rising, False)])
def test_noise_that_went_and_height_that_was_lost_are_seen(made, falls):
    change = series_change(
        series(made(HEIGHT) + NOISE), series(made(0.9 * HEIGHT) + NOISE / 4), BRAIN,
        baseline=slice(0, 12), falls=falls,
    )  # fmt: skip

    assert change.tsnr[0] == pytest.approx(100, rel=0.05)
    assert change.tsnr[1] == pytest.approx(400, rel=0.05)
    assert change.shape.peak == pytest.approx(-0.1, abs=0.02)
    assert change.shape.fwhm == pytest.approx(0, abs=0.02)
    assert (HEIGHT[change.vessels] > 1).all()
    assert change.vessels.sum() == 20


def test_a_change_of_gain_is_a_change_of_the_mean_alone():
    plain = series(falling(HEIGHT) + NOISE)
    change = series_change(
        plain, series(1.02 * plain.values), BRAIN, baseline=slice(0, 12), falls=True
    )

    assert change.mean_percent == pytest.approx(2)
    assert change.shape.largest == pytest.approx(0, abs=1e-9)


def test_voxels_without_signal_do_not_count():
    holes = falling(HEIGHT) + NOISE
    holes[:3] = 0
    plain = series_change(series(holes), series(holes), BRAIN, baseline=slice(0, 12), falls=True)

    assert np.isfinite(plain.tsnr).all()
    assert not plain.vessels[:3].any()


def test_another_grid_is_refused():
    other = Grid(shape=SHAPE, affine=2 * np.diag([1, 1, 1, 0.5]))

    with pytest.raises(GeometryError):
        series_change(
            series(falling(HEIGHT)), series(falling(HEIGHT), other), BRAIN,
            baseline=slice(0, 12), falls=True,
        )  # fmt: skip
