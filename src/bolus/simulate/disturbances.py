"""What a real scan adds: coil sensitivity, signal loss, head motion, drift and noise."""

import numpy as np
from scipy import ndimage

from bolus.core.geometry import Grid
from bolus.core.randomness import stream
from bolus.simulate.kernels import resample_cubic
from bolus.simulate.phantom import rotation

_STILL = 1e-6


def receive_gain(grid: Grid, *, seed: int, strength: float) -> np.ndarray:
    """Return a smooth coil sensitivity (x, y, z) around 1, brighter near the surface.

    Args:
        grid: of the scan.
        seed: decides which side is brighter.
        strength: relative variation, such as 0.15.
    """
    axes = [np.linspace(-1, 1, n) for n in grid.shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    a, b, c = stream(seed, "scanner", "gain").uniform(-0.5, 0.5, 3)
    return np.asarray(1 + strength * (1.2 * (x**2 + y**2) - 0.5 + a * x + b * y + c * z))


def lost_phase_rate(grid: Grid, *, to_scanner: np.ndarray) -> np.ndarray:
    """Return the extra R2* [1/s] beside air: above the nose and the ears, as in any EPI.

    Args:
        grid: of the scan.
        to_scanner: from template to scanner millimetres.
    """
    index = np.indices(grid.shape).reshape(3, -1).T
    places = grid.centres_mm(index)
    rate = np.zeros(len(places))
    sources = (
        ((0, 44, -32), 14.0, 90.0),
        ((56, -26, -36), 12.0, 60.0),
        ((-56, -26, -36), 12.0, 60.0),
    )
    for centre_mm, reach_mm, strength in sources:
        centre = to_scanner[:3, :3] @ np.array(centre_mm, float) + to_scanner[:3, 3]
        squared = ((places - centre) ** 2).sum(axis=1)
        rate += strength * np.exp(-squared / (2 * reach_mm**2))
    return rate.reshape(grid.shape)


def head_motion(
    frames: int, *, seed: int, translation_mm: float, rotation_deg: float, nod_deg: float
) -> np.ndarray:
    """Return rigid motion (frames, 6): translations [mm], rotations [deg] from the first frame.

    A slow random walk with small steps, and one nod (rotation about the axis through the ears,
    with the shift that goes with it) that begins after the bolus and stays.

    Args:
        frames: number of frames.
        seed: of the patient.
        translation_mm: standard deviation of each translation over the scan.
        rotation_deg: the same of each rotation.
        nod_deg: size of the nod; 0 for none.

    Example:
        >>> still = head_motion(60, seed=1, translation_mm=0, rotation_deg=0, nod_deg=0)
        >>> float(np.abs(still).max())
        0.0
    """
    random = stream(seed, "scanner", "motion")
    walk = ndimage.gaussian_filter1d(
        random.standard_normal((frames, 6)).cumsum(axis=0), 2.0, axis=0
    )
    walk -= walk[0]
    walk /= np.maximum(walk.std(axis=0), 1e-9)
    motion = walk * np.repeat([translation_mm, rotation_deg], 3)
    begins = int(frames * random.uniform(0.45, 0.85))
    nod = np.clip((np.arange(frames) - begins) / 2.0, 0, 1)
    motion[:, 3] += nod_deg * nod
    motion[:, 2] += 0.4 * nod_deg * nod
    return np.asarray(motion)


def motion_matrix(parameters: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the RAS+ matrix (4, 4) [mm] from the place of the first frame to that of another.

    Args:
        parameters: (6,) translations [mm] and rotations [deg] about the grid's centre.
        grid: of the scan.

    Example:
        >>> grid = Grid(shape=(3, 3, 3), affine=np.eye(4))
        >>> motion_matrix(np.array([2.0, 0, 0, 0, 0, 0]), grid)[:3, 3].tolist()
        [2.0, 0.0, 0.0]
    """
    centre = grid.centres_mm((np.array(grid.shape) - 1)[None] / 2)[0]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((parameters[3], parameters[4], parameters[5]))
    matrix[:3, 3] = centre + parameters[:3] - matrix[:3, :3] @ centre
    return matrix


def move(values: np.ndarray, motion: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the series (x, y, z, t) with the head moved in each frame, by cubic convolution.

    Args:
        values: the head at rest.
        motion: (t, 6) as of `head_motion`; frames without motion stay bit for bit.
        grid: of the scan.

    Source:
        Keys, IEEE Trans Acoust Speech Signal Process 1981;29:1153.
    """
    moved = values.copy()
    for frame, parameters in enumerate(motion):
        if np.abs(parameters).max() < _STILL:
            continue
        back = np.linalg.inv(grid.affine) @ np.linalg.inv(motion_matrix(parameters, grid))
        matrix = back @ grid.affine
        moved[..., frame] = resample_cubic(
            np.ascontiguousarray(values[..., frame]),
            np.ascontiguousarray(matrix[:3, :3]),
            np.ascontiguousarray(matrix[:3, 3]),
        )
    return moved


def drift(frames: int, *, seed: int, percent: float) -> np.ndarray:
    """Return the slow change of the scanner's gain, (frames,) around 1.

    Args:
        frames: number of frames.
        seed: of the scan.
        percent: change from first to last frame [%].
    """
    time = np.linspace(0, 1, frames)
    bend = stream(seed, "scanner", "drift").uniform(-0.3, 0.3)
    return np.asarray(1 + percent / 100 * (time + bend * np.sin(np.pi * time)))


def add_rician_noise(values: np.ndarray, *, sigma: float, seed: int, name: str) -> np.ndarray:
    """Return the magnitude after complex Gaussian noise, float32.

    Args:
        values: noise-free signal.
        sigma: standard deviation of each channel, in the unit of the signal.
        seed: of the scan.
        name: of the stream, one per echo.

    Source:
        Gudbjartsson and Patz, Magn Reson Med 1995;34:910.

    Example:
        >>> air = add_rician_noise(np.zeros(100000), sigma=2.0, seed=1, name="air")
        >>> bool(abs(air.mean() / (2.0 * np.sqrt(np.pi / 2)) - 1) < 0.01)
        True
    """
    if sigma <= 0:
        return np.asarray(values, np.float32)
    random = stream(seed, "scanner", "noise", name)
    real = values + sigma * random.standard_normal(values.shape, dtype=np.float32)
    imaginary = sigma * random.standard_normal(values.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, imaginary), np.float32)
