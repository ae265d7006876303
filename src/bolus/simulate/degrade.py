"""What a quicker or coarser scan would have measured: less of k-space, more noise, fewer frames."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy import fft, ndimage

from bolus.core.geometry import Grid
from bolus.core.randomness import stream
from bolus.core.series import PerfusionSeries
from bolus.core.timing import TimeAxis
from bolus.errors import Code, GeometryError, TimingError

Volume = Float[np.ndarray, "x y z"]
Shape = tuple[int, int, int]
_KNOTS = 5
"""Of a map of g: it changes over a fifth of the field of view."""


def coarser_grid(grid: Grid, shape: Shape) -> Grid:
    """Return the grid of fewer voxels over the same field of view, with the same outer edges.

    Args:
        grid: of the whole scan.
        shape: voxels of the coarser one, along each axis.

    Raises:
        GeometryError: more voxels than the grid has, or none.

    Example:
        >>> coarse = coarser_grid(Grid(shape=(8, 8, 4), affine=np.eye(4)), (4, 4, 4))
        >>> coarse.voxel_sizes_mm, coarse.affine[:3, 3].tolist()
        ((2.0, 2.0, 1.0), [0.5, 0.5, 0.0])
    """
    if any(not 1 <= few <= many for few, many in zip(shape, grid.shape, strict=True)):
        raise GeometryError(
            Code.GRID_INVALID,
            f"{shape} voxels from a scan of {grid.shape}",
            mend="ask for at least one voxel, and for no more than there are",
        )
    return grid.with_shape(shape)


def truncate_kspace(series: PerfusionSeries, shape: Shape) -> PerfusionSeries:
    """Return the magnitude of the centre of k-space of every frame: a scan with larger voxels.

    Args:
        series: signal [a.u.], free of noise where noise is to be added afterwards.
        shape: voxels of the coarser scan.

    Returns:
        The series on `coarser_grid`, float32; the mean signal of the field of view is kept.

    Raises:
        GeometryError: as `coarser_grid`.

    Assumes:
        The image has no phase of its own; Fourier encoding along all three axes.

    Source:
        Haacke et al., Magnetic Resonance Imaging, 1999, ch. 12 and 13.

    Example:
        >>> from bolus.core import Acquisition
        >>> whole = PerfusionSeries(values=np.full((8, 8, 4, 2), 3.0), quantity=SIGNAL,
        ...     grid=Grid(shape=(8, 8, 4), affine=np.eye(4)), time=TimeAxis.regular(2, step_s=1.0),
        ...     acquisition=Acquisition(), provenance=Provenance())
        >>> np.round(truncate_kspace(whole, (4, 4, 4)).values[0, 0, 0], 6).tolist()
        [3.0, 3.0]
    """
    grid = coarser_grid(series.grid, shape)
    values = np.empty((*shape, series.values.shape[3]), np.float32)
    for frame in range(values.shape[3]):
        values[..., frame] = np.abs(_cropped(series.values[..., frame], shape))
    return replace(series, values=values, grid=grid)


def _cropped(volume: np.ndarray, shape: Shape) -> np.ndarray:
    """Return the image of the centre of k-space; voxels of both images share their outer edges."""
    image = np.asarray(volume, np.complex64)
    for axis, few in enumerate(shape):
        many = image.shape[axis]
        if few == many:
            continue
        # The middle of a large voxel lies half a ratio after that of its first small one.
        order = fft.fftfreq(few, 1 / few)
        turned = np.exp(2j * np.pi * order * (many / few - 1) / 2 / many).astype(np.complex64)
        spectrum = np.take(fft.fft(image, axis=axis), order.astype(int) % many, axis=axis)
        if few % 2 == 0:  # the highest frequency has no partner, and would turn into signal
            spectrum[(slice(None),) * axis + (few // 2,)] = 0
        width = [1, 1, 1]
        width[axis] = few
        image = fft.ifft(spectrum * turned.reshape(width), axis=axis) * (few / many)
    return image


def g_factor(shape: Shape, *, most: float, seed: int) -> Volume:
    """Return a smooth map of the noise that parallel imaging adds, 1 at the edge, `most` inside.

    Args:
        shape: of the image.
        most: largest value, 1 or more.
        seed: decides its pattern.

    Assumes:
        Noise is largest about the middle, far from all coils, with smooth ups and downs.

    Source:
        Pruessmann et al., Magn Reson Med 42 (1999) 952, of the shape; the values are set by us.

    Example:
        >>> g = g_factor((16, 16, 4), most=2.0, seed=1)
        >>> float(g.min()) >= 1.0, round(float(g.max()), 6)
        (True, 2.0)
    """
    axes = [np.linspace(-1, 1, size) if size > 1 else np.zeros(1) for size in shape]
    far = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))
    knots = stream(seed, "scanner", "g-factor").uniform(0.6, 1.0, (_KNOTS,) * 3)
    places = np.meshgrid(*(np.linspace(0, _KNOTS - 1, size) for size in shape), indexing="ij")
    bumps = ndimage.map_coordinates(knots, places, order=2, mode="nearest")
    inner = np.clip(1 - far / np.sqrt(3), 0, 1) * bumps
    return np.asarray(1 + (most - 1) * inner / inner.max())


def with_rician_noise(
    series: PerfusionSeries, *, sigma: float, seed: int, g: Volume | None = None
) -> PerfusionSeries:
    """Return the magnitude after complex noise, float32.

    Args:
        series: signal [a.u.] without noise.
        sigma: standard deviation of each channel where g is 1, in the unit of the signal.
        seed: of the scan.
        g: map of factors of `sigma`; None for 1 everywhere.

    Assumes:
        Noise is white and independent from frame to frame.

    Source:
        Gudbjartsson and Patz, Magn Reson Med 34 (1995) 910.

    Example:
        >>> from bolus.core import Acquisition
        >>> air = PerfusionSeries(values=np.zeros((20, 20, 20, 2)), quantity=SIGNAL,
        ...     grid=Grid(shape=(20, 20, 20), affine=np.eye(4)),
        ...     time=TimeAxis.regular(2, step_s=1.0), acquisition=Acquisition(),
        ...     provenance=Provenance())
        >>> noisy = with_rician_noise(air, sigma=2.0, seed=1)
        >>> bool(abs(noisy.values.mean() / (2.0 * np.sqrt(np.pi / 2)) - 1) < 0.02)
        True
    """
    random = stream(seed, "scanner", "noise", "degraded")
    size = np.float32(sigma) * (1 if g is None else np.asarray(g, np.float32)[..., None])
    shape = series.values.shape
    real = series.values + size * random.standard_normal(shape, dtype=np.float32)
    values = np.hypot(real, size * random.standard_normal(shape, dtype=np.float32))
    return replace(series, values=np.asarray(values, np.float32))


def fewer_frames(series: PerfusionSeries, every: int, *, first: int = 0) -> PerfusionSeries:
    """Return each n-th frame: a scan that takes n times as long a frame.

    Args:
        series: any quantity.
        every: n.
        first: which frame is the first that is kept.

    Raises:
        TimingError: fewer than two frames are left.

    Assumes:
        A frame is read in a moment of its time, as an EPI slice is.

    Source:
        Set by us.
    """
    kept = slice(first, None, every)
    seconds = series.time.seconds[kept]
    if every < 1 or first < 0 or len(seconds) < 2:
        raise TimingError(
            Code.ARGUMENT_INVALID,
            f"each {every}th of {len(series.time)} frames from frame {first}",
            mend="ask for a step that leaves two frames or more",
        )
    return replace(series, values=series.values[..., kept], time=TimeAxis(seconds=seconds))
