"""Loops of the growth model: spread of cells, travel times through tissue, and exact volumes."""

import numpy as np
from numba import njit
from scipy import ndimage

from bolus.simulate.anatomy import VOXEL_MM

_STEPS = 2000
_EDGE_VOXELS = 1.0
"""Width over which a border passes, 2 mm."""


def fill(rank: np.ndarray, room: np.ndarray, wanted: float) -> np.ndarray:
    """Give the first places by rank to something until its volume is met.

    Args:
        rank: (x, y, z), lower comes first.
        room: share of every voxel that can be given.
        wanted: voxels to give, fractions included; all the room if there is less.

    Returns:
        The share of every voxel that was given, with straight edges 2 mm wide. More `wanted`
        never gives less of any voxel.

    Example:
        >>> rank = np.broadcast_to(np.arange(10.0), (3, 3, 10))
        >>> fill(rank, np.ones((3, 3, 10)), 40.5)[1, 1, :6].round(3).tolist()
        [1.0, 1.0, 1.0, 1.0, 0.5, 0.0]
    """
    share = np.zeros(room.shape, np.float32)
    some = room > 0
    if wanted <= 0 or not some.any():
        return share
    ranks, widths, rooms = rank[some], _width(rank)[some], room[some]
    low, high = float((ranks - widths).min()), float((ranks + widths).max())
    if wanted < rooms.sum(dtype=np.float64):
        high = _border(ranks, widths, rooms, wanted, low, high)
    share[some] = np.clip((high - ranks) / widths + 0.5, 0, 1) * rooms
    return share


def arrival_time(
    cells: np.ndarray, spread: np.ndarray, tissue: np.ndarray, *, border: float, grown_ml: float
) -> np.ndarray:
    """Return when a front of cells that grow and diffuse arrives, by Fisher's equation.

    Args:
        cells: at the start (x, y, z), as shares of what tissue can hold, on a 2 mm grid.
        spread: D / rho [mm2].
        tissue: bool, where cells can live; where it is False nothing passes.
        border: share of capacity that counts as arrived.
        grown_ml: volume [mL] after which the equation is no longer solved; from there on the
            front moves at its steady speed, 2 sqrt(D rho).

    Returns:
        Time [1/rho], infinity where no front comes.

    Source:
        Explicit Euler with a step of 0.9 of its limit of stability, at most 0.1 / rho.
    """
    step = min(0.9 * VOXEL_MM**2 / (6.0 * float(spread.max())), 0.1)
    pad = [(1, 1)] * 3
    held, alive = np.pad(spread, pad), np.pad(tissue, pad)
    faces = np.zeros((3, *held.shape), np.float32)
    for axis in range(3):
        before = np.roll(held, 1, axis)
        # the harmonic mean closes the face between tissue and fluid
        faces[axis] = step / VOXEL_MM**2 * 2 * held * before / np.maximum(held + before, 1e-9)
    steps = spread_cells(
        np.pad(cells, pad).astype(np.float32),
        faces,
        (step * alive).astype(np.float32),
        border,
        round(grown_ml / (VOXEL_MM**3 / 1000.0)),
        _STEPS,
    )
    speed = 2.0 * np.sqrt(np.maximum(held, 1e-6))
    cost = np.where(alive, VOXEL_MM / speed, np.inf).astype(np.float32)
    return np.asarray(travel((step * steps).astype(np.float32), cost, 6)[1:-1, 1:-1, 1:-1])


def closest(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill what is not known with the closest value that is: edges need it on both sides."""
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)], np.float32)


def distance_mm(shape: tuple[int, ...], where: np.ndarray) -> np.ndarray:
    """Return the distance [mm] of every 2 mm voxel from a place [voxels, with fractions]."""
    lines = [(np.arange(n, dtype=np.float32) - w) ** 2 for n, w in zip(shape, where, strict=True)]
    squared = lines[0][:, None, None] + lines[1][None, :, None] + lines[2][None, None, :]
    return np.asarray(VOXEL_MM * np.sqrt(squared), np.float32)


def _width(rank: np.ndarray) -> np.ndarray:
    """Return how much the rank changes over the width of an edge."""
    squares = [np.square(np.gradient(rank, axis=axis)) for axis in range(3)]
    steep = np.sqrt(squares[0] + squares[1] + squares[2])
    return np.asarray(np.maximum(_EDGE_VOXELS * steep, 1e-3), np.float32)


@njit(cache=True)
def _border(
    rank: np.ndarray, width: np.ndarray, room: np.ndarray, wanted: float, low: float, high: float
) -> float:
    """Find the border that gives what is wanted, by halving the interval."""
    for _ in range(40):
        middle = 0.5 * (low + high)
        given = 0.0
        for n in range(len(rank)):
            given += room[n] * min(max((middle - rank[n]) / width[n] + 0.5, 0.0), 1.0)
        if given < wanted:
            low = middle
        else:
            high = middle
    return high


@njit(cache=True)
def spread_cells(
    cells: np.ndarray,
    faces: np.ndarray,
    gain: np.ndarray,
    level: float,
    enough: int,
    steps: int,
) -> np.ndarray:
    """Return after how many steps, with their fraction, cells cross a level; infinity if never.

    `cells` (x, y, z) float32 as shares of what tissue can hold; `faces` (3, x, y, z) the share of
    the difference that one step exchanges with the voxel before along each axis, 0 for none;
    `gain` one step's growth. Explicit Euler of Fisher's equation, which stops after `steps` or
    when more than `enough` voxels have crossed. The outermost layer of voxels is left alone.
    """
    nx, ny, nz = cells.shape
    arrival = np.where(cells >= level, np.float32(0.0), np.float32(np.inf))
    now = cells.copy()
    later = cells.copy()
    reached = 0
    for step in range(steps):
        for i in range(1, nx - 1):
            for j in range(1, ny - 1):
                for k in range(1, nz - 1):
                    if gain[i, j, k] <= 0.0:
                        continue
                    c = now[i, j, k]
                    new = c + (
                        faces[0, i, j, k] * (now[i - 1, j, k] - c)
                        + faces[0, i + 1, j, k] * (now[i + 1, j, k] - c)
                        + faces[1, i, j, k] * (now[i, j - 1, k] - c)
                        + faces[1, i, j + 1, k] * (now[i, j + 1, k] - c)
                        + faces[2, i, j, k] * (now[i, j, k - 1] - c)
                        + faces[2, i, j, k + 1] * (now[i, j, k + 1] - c)
                        + gain[i, j, k] * c * (np.float32(1.0) - c)
                    )
                    later[i, j, k] = new
                    if c < level <= new and arrival[i, j, k] == np.inf:
                        arrival[i, j, k] = step + (level - c) / (new - c)
                        reached += 1
        now, later = later, now
        if reached > enough:
            break
    return arrival


@njit(cache=True)
def travel(time: np.ndarray, cost: np.ndarray, rounds: int) -> np.ndarray:
    """Return the time to every voxel from those whose time is known, by fast sweeping.

    `time` (x, y, z) float32 holds the known times and infinity; `cost` the time to cross one
    voxel, infinity where nothing passes. First-order upwind eikonal equation (Zhao, Math Comput
    2005;74:603); sweeps in all eight directions until nothing changes, at most `rounds` times.
    """
    nx, ny, nz = time.shape
    held = time.copy()
    for _ in range(rounds):
        most = 0.0
        for order in range(8):
            for a in range(nx):
                i = a if order & 1 == 0 else nx - 1 - a
                for b in range(ny):
                    j = b if order & 2 == 0 else ny - 1 - b
                    for d in range(nz):
                        k = d if order & 4 == 0 else nz - 1 - d
                        f = cost[i, j, k]
                        if f == np.inf:
                            continue
                        new = _upwind(held, i, j, k, f)
                        if new < held[i, j, k] - 1e-3:
                            gain = held[i, j, k] - new
                            most = max(most, gain)
                            held[i, j, k] = new
        if most < 1e-2:
            break
    return held


@njit(cache=True)
def _upwind(held, i, j, k, cost):  # type: ignore[no-untyped-def]
    """Solve the eikonal equation of one voxel from its earliest neighbours."""
    nx, ny, nz = held.shape
    a = b = c = np.inf
    if i > 0:
        a = held[i - 1, j, k]
    if i < nx - 1:
        a = min(a, held[i + 1, j, k])
    if j > 0:
        b = held[i, j - 1, k]
    if j < ny - 1:
        b = min(b, held[i, j + 1, k])
    if k > 0:
        c = held[i, j, k - 1]
    if k < nz - 1:
        c = min(c, held[i, j, k + 1])
    if a > b:
        a, b = b, a
    if b > c:
        b, c = c, b
    if a > b:
        a, b = b, a
    if a == np.inf:
        return np.inf
    new = a + cost
    if new <= b:
        return new
    new = 0.5 * (a + b + np.sqrt(max(2.0 * cost * cost - (a - b) ** 2, 0.0)))
    if new <= c:
        return new
    total = a + b + c
    inner = total * total - 3.0 * (a * a + b * b + c * c - cost * cost)
    return (total + np.sqrt(max(inner, 0.0))) / 3.0
