"""How exactly visits are brought together, against the simulator's true poses.

python benchmarks/registration.py [--patients 8] [--perfusion 3] [--simpleitk 2]
"""

import argparse
import multiprocessing
import time
from dataclasses import dataclass

import numpy as np

from bolus.core import Grid, Mask
from bolus.errors import BolusError
from bolus.preprocess import VisitImage, register_visits
from bolus.simulate import HeadPose, draw_profile, draw_scanners, plan_visits, simulate_session
from bolus.simulate.patient import phantom_of
from bolus.simulate.session import session_settings, structural_grid
from bolus.simulate.structural import simulate_structural

_SEED = 3
_SCANNERS = 4
_EVERY = 20


@dataclass(frozen=True)
class Seen:
    image: VisitImage
    lesion: Mask
    brain: Mask
    pose: np.ndarray
    scanner: str


def structural(patient: int, visit: int, fleet) -> Seen:
    """T1w after agent of one visit, in whole numbers with the scanner's gain."""
    profile = draw_profile(_SEED, patient)
    plan = plan_visits(profile, visits=visit + 1, post_treatment=True)[visit]
    scanner = fleet[(patient + (visit > 0)) % len(fleet)]
    settings = session_settings(profile, plan, scanner)
    grid = structural_grid(scanner)
    values = simulate_structural(settings, grid)["T1ce"] * scanner.gain
    phantom = phantom_of(settings, grid)
    return Seen(
        image=VisitImage(values=np.rint(values), grid=grid),
        lesion=phantom.tumour.foreground,
        brain=phantom.brain,
        pose=settings.head_pose.affine,
        scanner=scanner.name,
    )


def perfusion(patient: int, visit: int, fleet) -> Seen:
    """Mean of the DSC series before the bolus, distorted as its scanner does."""
    profile = draw_profile(_SEED, patient)
    plan = plan_visits(profile, visits=visit + 1, post_treatment=True)[visit]
    scanner = fleet[(patient + (visit > 0)) % len(fleet)]
    session = simulate_session(profile, plan, scanner, dce=False)
    patient_scan = session.dsc
    values = patient_scan.signal.values[..., 3:7].mean(axis=-1)
    return Seen(
        image=VisitImage(values=values, grid=patient_scan.signal.grid),
        lesion=patient_scan.tumour.foreground,
        brain=patient_scan.brain,
        pose=patient_scan.settings.head_pose.affine,
        scanner=scanner.name,
    )


def true_matrix(first: Seen, second: Seen, scale: float = 1.0) -> np.ndarray:
    bigger = HeadPose(scale=scale).affine
    return bigger @ second.pose @ np.linalg.inv(first.pose)


def errors_mm(places, first: Seen, truth: np.ndarray) -> np.ndarray:
    points = first.image.grid.centres_mm(np.argwhere(first.brain.values).astype(float))[::_EVERY]
    return np.linalg.norm(places(points) - points @ truth[:3, :3].T - truth[:3, 3], axis=1)


def registered(first: Seen, second: Seen, model: str):
    return register_visits(
        second.image,
        first.image,
        moving_lesion=second.lesion,
        fixed_lesion=first.lesion,
        model=model,
    )


def show(name: str, first: Seen, second: Seen, model: str, truth: np.ndarray) -> np.ndarray:
    begun = time.process_time()
    found = registered(first, second, model)
    taken_s = time.process_time() - begun
    wrong = errors_mm(found.places, first, truth)
    print(
        f"{name:<22} {model:<10} true {np.median(wrong):.2f} (worst {wrong.max():.2f}) mm, likely "
        f"{found.error_mm:.2f} (P95 {found.error_p95_mm:.2f}), there and back "
        f"{found.consistency_median_mm:.2f} (P95 {found.consistency_p95_mm:.2f}), detail "
        f"{found.similarity:.2f}, {taken_s:.1f} CPU-s",
        flush=True,
    )
    return np.array([np.median(wrong), wrong.max(), found.error_mm, found.error_p95_mm])


def summary(name: str, rows: list[np.ndarray]) -> None:
    table = np.array(rows)
    print(
        f"== {name}: median {np.median(table[:, 0]):.3f} mm, largest median "
        f"{table[:, 0].max():.3f}, "
        f"worst place {table[:, 1].max():.3f}; median below likely error in "
        f"{np.mean(table[:, 0] <= table[:, 2]):.0%}, worst place below 2 x its P95 in "
        f"{np.mean(table[:, 1] <= 2 * table[:, 3]):.0%} of {len(table)}",
        flush=True,
    )


def refused(first: Seen, second: Seen) -> str:
    try:
        found = registered(first, second, "affine")
    except BolusError as error:
        return f"refused: {error.what[31:160]}"
    return f"PASSED, detail {found.similarity:.2f}"


def flipped(seen: Seen, axis: int) -> Seen:
    return Seen(
        image=VisitImage(values=np.flip(seen.image.values, axis).copy(), grid=seen.image.grid),
        lesion=Mask(
            values=np.flip(seen.lesion.values, axis).copy(), grid=seen.lesion.grid, name="lesion"
        ),
        brain=seen.brain,
        pose=seen.pose,
        scanner=seen.scanner,
    )


def grown(seen: Seen, scale: float) -> Seen:
    """The same image on a scanner whose millimetres are wrong by a factor."""
    affine = HeadPose(scale=scale).affine @ seen.image.grid.affine
    grid = Grid(shape=seen.image.grid.shape, affine=affine)
    return Seen(
        image=VisitImage(values=seen.image.values, grid=grid),
        lesion=Mask(values=seen.lesion.values, grid=grid, name="lesion"),
        brain=Mask(values=seen.brain.values, grid=grid, name="brain"),
        pose=seen.pose,
        scanner=seen.scanner,
    )


def simpleitk_matrix(fixed, moving, channel) -> None:
    """Rigid registration with Mattes mutual information, one thread, in a process of its own."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    images = []
    for values, affine, inside in (fixed, moving):
        image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
        lps = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]
        sizes = np.linalg.norm(lps[:, :3], axis=0)
        image.SetSpacing(sizes.tolist())
        image.SetDirection((lps[:, :3] / sizes).ravel().tolist())
        image.SetOrigin(lps[:, 3].tolist())
        mask = sitk.GetImageFromArray(np.ascontiguousarray(inside.transpose(2, 1, 0)))
        mask.CopyInformation(image)
        images.append((sitk.Cast(image, sitk.sitkFloat32), sitk.Cast(mask, sitk.sitkUInt8)))
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.2, 1)
    method.SetMetricFixedMask(images[0][1])
    method.SetMetricMovingMask(images[1][1])
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 300)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4, 2, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    start = sitk.CenteredTransformInitializer(
        images[0][0],
        images[1][0],
        sitk.Euler3DTransform(),
        sitk.CenteredTransformInitializerFilter.GEOMETRY,
    )
    method.SetInitialTransform(start)
    found = method.Execute(images[0][0], images[1][0])
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float) * 100
    moved = np.array([found.TransformPoint(point.tolist()) for point in corners])
    matrix = np.eye(4)
    matrix[:3, :3] = ((moved[1:] - moved[0]) / 100).T
    matrix[:3, 3] = moved[0]
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    channel.put(flip @ matrix @ flip)


def with_simpleitk(first: Seen, second: Seen) -> np.ndarray:
    context = multiprocessing.get_context("spawn")
    channel = context.Queue()
    sides = [
        (np.asarray(s.image.values, np.float32), s.image.grid.affine,
         (~s.lesion.values).astype(np.uint8))
        for s in (first, second)
    ]  # fmt: skip
    child = context.Process(target=simpleitk_matrix, args=(*sides, channel))
    child.start()
    matrix = channel.get(timeout=600)
    child.join()
    return matrix


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=8)
    parser.add_argument("--perfusion", type=int, default=3)
    parser.add_argument("--deformable", type=int, default=2)
    parser.add_argument("--flipped", type=int, default=3)
    parser.add_argument("--simpleitk", type=int, default=0)
    options = parser.parse_args()
    fleet = draw_scanners(_SCANNERS, seed=_SEED, shape=(128, 128, 12))
    pairs = [(structural(n, 0, fleet), structural(n, 2, fleet)) for n in range(options.patients)]
    rows: dict[str, list[np.ndarray]] = {}

    def noted(kind: str, row: np.ndarray) -> None:
        rows.setdefault(kind, []).append(row)

    for n, (first, second) in enumerate(pairs):
        name = f"{n} {first.scanner[-2:]}->{second.scanner[-2:]}"
        truth = true_matrix(first, second)
        for model in ("rigid", "affine"):
            noted(model, show(name, first, second, model, truth))
        if n < options.deformable:
            noted("deformable", show(name, first, second, "deformable", truth))
        larger = true_matrix(first, second, 1.01)
        for model in ("rigid", "affine"):
            row = show(f"{name} 1 % larger", first, grown(second, 1.01), model, larger)
            noted(f"{model}, 1 % larger", row)
        other = pairs[(n + 1) % len(pairs)][1]
        print("   another patient:", refused(first, other), flush=True)
        for axis in range(3 if n < options.flipped else 0):
            print(f"   flipped along {axis}:", refused(first, flipped(second, axis)), flush=True)
        if n < options.simpleitk:
            begun = time.perf_counter()
            twice = [with_simpleitk(first, second) for _ in range(2)]
            taken_s = (time.perf_counter() - begun) / 2
            wrong = errors_mm(lambda p, m=twice[0]: p @ m[:3, :3].T + m[:3, 3], first, truth)
            same = twice[0].tobytes() == twice[1].tobytes()
            print(
                f"   SimpleITK: true {np.median(wrong):.2f} (worst {wrong.max():.2f}) mm, same "
                f"bytes {same}, {taken_s:.0f} s",
                flush=True,
            )
            noted("SimpleITK", np.array([np.median(wrong), wrong.max(), np.nan, np.nan]))
    for n in range(options.perfusion):
        small = draw_scanners(_SCANNERS, seed=_SEED, shape=(96, 96, 20))
        first, second = perfusion(n, 0, small), perfusion(n, 2, small)
        row = show(f"{n} perfusion", first, second, "affine", true_matrix(first, second))
        noted("perfusion", row)
    for kind, found in rows.items():
        summary(kind, found)


if __name__ == "__main__":
    main()
