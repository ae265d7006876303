"""Compiled fits of one longitudinal rate a voxel; `t1` says what they compute.

In both models the rate is the only nonlinear parameter: the linear ones are eliminated (variable
projection), so Gauss-Newton runs in one dimension, in the logarithm of the rate, with halved steps
where the residual does not fall.
"""

import numpy as np
from numba import njit

OK, NOT_FINITE, NO_SIGNAL, NOT_CONVERGED, AT_BOUND = 0, 2, 3, 5, 6
"""The numbers of `FitStatus`; compiled code knows no enumerations."""
_MOST_STEPS = 100
_CLOSE = 1e-10
_HALVINGS = 30
_LONGEST_STEP = 1.0
_GRID = 64


@njit(cache=True, error_model="numpy")
def _angle_shape(decay, sine, cosine, shape, slope):  # type: ignore[no-untyped-def]
    """Fill S/M0 and its derivative by ln R1 of every angle; return the former's square."""
    square = 0.0
    rate = -np.log(decay)  # R1 TR
    for i in range(len(sine)):
        below = 1.0 - decay * cosine[i]
        shape[i] = sine[i] * (1.0 - decay) / below
        slope[i] = sine[i] * rate * decay * (1.0 - cosine[i]) / (below * below)
        square += shape[i] * shape[i]
    return square


@njit(cache=True, error_model="numpy")
def _one_rate(signal, shape, slope, square):  # type: ignore[no-untyped-def]
    """Return amplitude, residual sum, and Gauss-Newton's step and curvature in ln R1."""
    along = 0.0
    mixed = 0.0
    for i in range(len(signal)):
        along += shape[i] * signal[i]
        mixed += shape[i] * slope[i]
    amplitude = along / square
    rest = 0.0
    push = 0.0
    curvature = 0.0
    for i in range(len(signal)):
        gap = signal[i] - amplitude * shape[i]
        bend = amplitude * (slope[i] - shape[i] * mixed / square)
        rest += gap * gap
        push += bend * gap
        curvature += bend * bend
    step = push / curvature if curvature > 0.0 else 0.0
    return amplitude, rest, step, curvature


@njit(cache=True, error_model="numpy")
def linear_decay(signal, sine, cosine, steps):  # type: ignore[no-untyped-def]
    """Return E of the weighted line S / sin a = E S / tan a + M0 (1 - E), weights iterated.

    The weights (sin a / (1 - E cos a))² make the residual that of the signal itself.
    """
    decay = 0.995
    for _ in range(steps):
        w0 = 0.0
        wx = 0.0
        wy = 0.0
        for i in range(len(signal)):
            root = sine[i] / (1.0 - decay * cosine[i])
            w = root * root
            w0 += w
            wx += w * signal[i] * cosine[i] / sine[i]
            wy += w * signal[i] / sine[i]
        xx = 0.0
        xy = 0.0
        for i in range(len(signal)):
            root = sine[i] / (1.0 - decay * cosine[i])
            dx = signal[i] * cosine[i] / sine[i] - wx / w0
            xx += root * root * dx * dx
            xy += root * root * dx * (signal[i] / sine[i] - wy / w0)
        if xx <= 0.0:
            return np.nan
        now = xy / xx
        if not 0.0 < now < 1.0:
            return now
        done = abs(now - decay) < _CLOSE * (1.0 - now)
        decay = now
        if done:
            break
    return decay


@njit(cache=True, error_model="numpy")
def _usable(signal, magnitude):  # type: ignore[no-untyped-def]
    """Return the status of a curve before any fit, and where its smallest sample is."""
    status = OK
    largest = 0.0
    least = 0
    for i in range(len(signal)):
        if not np.isfinite(signal[i]):
            return NOT_FINITE, 0
        if magnitude and signal[i] < 0.0:
            status = NO_SIGNAL
        largest = max(largest, abs(signal[i]))
        if signal[i] < signal[least]:
            least = i
    return (NO_SIGNAL if largest == 0.0 else status), least


@njit(cache=True, error_model="numpy")
def fit_angles(  # type: ignore[no-untyped-def]
    signals, angles, factors, interval, low, high, noise, nonlinear, numbers, status
):
    """Fit M0 and R1 of a spoiled gradient echo to several flip angles.

    Args:
        signals: (voxels, angles).
        angles: (angles,) nominal [rad].
        factors: (voxels,) B1.
        interval: TR [s].
        low: smallest R1 [1/s].
        high: largest R1 [1/s].
        noise: known standard deviation of the signal; negative where it is not known.
        nonlinear: whether the line is only the start.
        numbers: (4, voxels) out: R1, M0, standard error of R1, root mean square residual.
        status: (voxels,) out.
    """
    count = len(angles)
    sine = np.empty(count)
    cosine = np.empty(count)
    shape = np.empty(count)
    slope = np.empty(count)
    for row in range(len(signals)):
        numbers[:, row] = np.nan
        signal = signals[row]
        for i in range(count):
            sine[i] = np.sin(angles[i] * factors[row])
            cosine[i] = np.cos(angles[i] * factors[row])
        status[row], _ = _usable(signal, True)
        if status[row] == OK and signal.min() <= 0.0:
            status[row] = NO_SIGNAL
        if not (np.isfinite(factors[row]) and factors[row] > 0.0):
            status[row] = NOT_FINITE
        if status[row] != OK:
            continue
        decay = linear_decay(signal, sine, cosine, 100 if count > 2 else 1)
        inside = 0.0 < decay < 1.0
        if not inside and not (nonlinear and count > 2):
            status[row] = NOT_CONVERGED
            continue
        log_rate = np.log(-np.log(decay) / interval) if inside else 0.0
        log_rate = min(max(log_rate, np.log(low)), np.log(high))
        if nonlinear and count > 2:
            log_rate, status[row] = _climb_angles(
                signal, sine, cosine, interval, shape, slope, log_rate, low, high
            )
        if log_rate <= np.log(low) + 1e-9 or log_rate >= np.log(high) - 1e-9:
            status[row] = AT_BOUND
        if status[row] != OK:
            continue
        rate = np.exp(log_rate)
        square = _angle_shape(np.exp(-interval * rate), sine, cosine, shape, slope)
        amplitude, rest, _, curvature = _one_rate(signal, shape, slope, square)
        spread = noise
        if noise < 0.0:
            spread = np.sqrt(rest / (count - 2)) if count > 2 else np.nan
        error = rate * spread / np.sqrt(curvature)
        if error > rate:
            status[row] = NOT_CONVERGED
            continue
        numbers[0, row] = rate
        numbers[1, row] = amplitude
        numbers[2, row] = error
        numbers[3, row] = np.sqrt(rest / count)


@njit(cache=True, error_model="numpy")
def _climb_angles(  # type: ignore[no-untyped-def]
    signal, sine, cosine, interval, shape, slope, log_rate, low, high
):
    """Return ln R1 of least squares, and a status."""
    bottom, top = np.log(low), np.log(high)
    square = _angle_shape(np.exp(-interval * np.exp(log_rate)), sine, cosine, shape, slope)
    _, rest, step, _ = _one_rate(signal, shape, slope, square)
    for _ in range(_MOST_STEPS):
        step = min(max(step, -_LONGEST_STEP), _LONGEST_STEP)
        if abs(step) < _CLOSE:
            return log_rate, OK
        for _ in range(_HALVINGS):
            tried = min(max(log_rate + step, bottom), top)
            square = _angle_shape(np.exp(-interval * np.exp(tried)), sine, cosine, shape, slope)
            _, now, then, _ = _one_rate(signal, shape, slope, square)
            if now <= rest:
                break
            step *= 0.5
        if now > rest:  # no shorter step helps: the numbers have no more digits
            return log_rate, OK
        if tried == log_rate:
            return log_rate, OK
        log_rate, rest, step = tried, now, then
    return log_rate, NOT_CONVERGED


@njit(cache=True, error_model="numpy")
def _recovery(signal, seconds, rate, decay, bend):  # type: ignore[no-untyped-def]
    """Return a, b, residual sum, step and curvature in ln R of S = a + b exp(-t R)."""
    count = len(signal)
    mean_s = 0.0
    mean_e = 0.0
    mean_d = 0.0
    for i in range(count):
        decay[i] = np.exp(-seconds[i] * rate)
        bend[i] = -seconds[i] * rate * decay[i]
        mean_s += signal[i]
        mean_e += decay[i]
        mean_d += bend[i]
    mean_s /= count
    mean_e /= count
    mean_d /= count
    ee = 0.0
    es = 0.0
    ed = 0.0
    for i in range(count):
        e = decay[i] - mean_e
        ee += e * e
        es += e * (signal[i] - mean_s)
        ed += e * (bend[i] - mean_d)
    if ee <= 0.0:
        return mean_s, 0.0, np.inf, 0.0, 0.0
    b = es / ee
    rest = 0.0
    push = 0.0
    curvature = 0.0
    for i in range(count):
        e = decay[i] - mean_e
        gap = signal[i] - mean_s - b * e
        j = b * (bend[i] - mean_d - e * ed / ee)
        rest += gap * gap
        push += j * gap
        curvature += j * j
    step = push / curvature if curvature > 0.0 else 0.0
    return mean_s - b * mean_e, b, rest, step, curvature


@njit(cache=True, error_model="numpy")
def _climb_recovery(  # type: ignore[no-untyped-def]
    signal, seconds, low, high, decay, bend
):
    """Return ln R of least squares, its residual sum and a status, from a grid of starts."""
    bottom, top = np.log(low), np.log(high)
    log_rate, rest = bottom, np.inf
    for g in range(_GRID):
        tried = bottom + (top - bottom) * g / (_GRID - 1)
        _, _, now, _, _ = _recovery(signal, seconds, np.exp(tried), decay, bend)
        if now < rest:
            log_rate, rest = tried, now
    _, _, rest, step, _ = _recovery(signal, seconds, np.exp(log_rate), decay, bend)
    for _ in range(_MOST_STEPS):
        step = min(max(step, -_LONGEST_STEP), _LONGEST_STEP)
        if abs(step) < _CLOSE:
            return log_rate, rest, OK
        for _ in range(_HALVINGS):
            tried = min(max(log_rate + step, bottom), top)
            _, _, now, then, _ = _recovery(signal, seconds, np.exp(tried), decay, bend)
            if now <= rest:
                break
            step *= 0.5
        if now > rest or tried == log_rate:
            return log_rate, rest, OK
        log_rate, rest, step = tried, now, then
    return log_rate, rest, NOT_CONVERGED


@njit(cache=True, error_model="numpy")
def fit_recovery(  # type: ignore[no-untyped-def]
    signals, seconds, low, high, magnitude, look_locker, numbers, status
):
    """Fit S = a + b exp(-t R) with b < 0 < a, or its magnitude, to recoveries.

    A magnitude's samples before its minimum get a minus; the one at the minimum is tried with
    either sign.

    Args:
        signals: (voxels, t), in the order of rising times.
        seconds: (t,) rising.
        low: smallest R [1/s].
        high: largest R [1/s].
        magnitude: whether signs were lost.
        look_locker: whether R1 = R / (-b / a - 1) instead of R.
        numbers: (4, voxels) out: R1, a, standard error of R1, root mean square residual.
        status: (voxels,) out.
    """
    count = len(seconds)
    decay = np.empty(count)
    bend = np.empty(count)
    turned = np.empty(count)
    best = np.empty(count)
    for row in range(len(signals)):
        numbers[:, row] = np.nan
        signal = signals[row]
        status[row], least = _usable(signal, magnitude)
        if status[row] != OK:
            continue
        rest = np.inf
        log_rate = 0.0
        status[row] = NOT_CONVERGED
        for negative in range(least, least + 2) if magnitude else range(0, 1):
            for i in range(count):
                turned[i] = -signal[i] if magnitude and i < negative else signal[i]
            tried, now, code = _climb_recovery(turned, seconds, low, high, decay, bend)
            a, b, _, _, _ = _recovery(turned, seconds, np.exp(tried), decay, bend)
            if now < rest and a > 0.0 and b < 0.0:
                log_rate, rest, status[row] = tried, now, code
                best[:] = turned
        if status[row] != OK:
            continue
        if log_rate <= np.log(low) + 1e-9 or log_rate >= np.log(high) - 1e-9:
            status[row] = AT_BOUND
            continue
        rate = np.exp(log_rate)
        a, b, rest, _, curvature = _recovery(best, seconds, rate, decay, bend)
        spread = np.sqrt(rest / (count - 3)) if count > 3 else np.nan
        r1 = rate
        error = rate * spread / np.sqrt(curvature)
        if look_locker:
            r1 = rate / (-b / a - 1.0)
            error = spread * _corrected_error(seconds, rate, a, b, decay)
        if not r1 > 0.0 or error > r1:
            status[row] = NOT_CONVERGED
            continue
        numbers[0, row] = r1
        numbers[1, row] = a
        numbers[2, row] = error
        numbers[3, row] = np.sqrt(rest / count)


@njit(cache=True, error_model="numpy")
def _corrected_error(seconds, rate, a, b, decay):  # type: ignore[no-untyped-def]
    """Return the standard error of R / (-b / a - 1) for unit noise."""
    normal = np.zeros((3, 3))
    row = np.empty(3)
    for i in range(len(seconds)):
        row[0], row[1], row[2] = 1.0, decay[i], -b * seconds[i] * decay[i]
        for p in range(3):
            for q in range(3):
                normal[p, q] += row[p] * row[q]
    if abs(np.linalg.det(normal)) < 1e-300:
        return np.inf
    share = -b / a - 1.0
    pull = -rate / (share * share)
    gradient = np.array([pull * b / (a * a), -pull / a, 1.0 / share])
    return np.sqrt(gradient @ np.linalg.solve(normal, gradient))
