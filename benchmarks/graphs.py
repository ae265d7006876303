"""Building the graph of a tumour, beside the published pattern recreated from its description.

Run: OMP_NUM_THREADS=1 python benchmarks/graphs.py [--all] [--exams 4]; prints the tables of
docs/science/graphs.md. Times are CPU seconds on one thread, ours the best of three. The tumours are
simulated: patches of four tissues, codes that follow them but for a share of voxels, images with
another variation inside each tissue.

The pattern (Jang et al., arXiv 2605.07156, told in words there and in its scripts' description):
flood fill of each code, one mask of the whole volume a component, SLIC of the whole volume within
that mask, and loops over pairs of nodes for distances in voxels and cosines. It is timed on some
components of the large volume and extrapolated to all by their mean; --all runs every one.
"""

import argparse
import itertools
import time

import numpy as np
from scipy import ndimage
from skimage.graph import RAG
from skimage.segmentation import slic

from bolus.core import (
    QUANTITIES,
    Grid,
    LabelMap,
    MapSet,
    Mask,
    ParameterMap,
    Provenance,
    SessionKey,
    stream,
)
from bolus.graphs import (
    GraphSettings,
    Level,
    build_graph,
    code_components,
    contacts_of,
    cosines,
    link_visits,
    near_pairs,
    scale_channels,
    supervoxels,
)
from bolus.habitats import adjusted_rand
from bolus.io.weights import shipped_weights
from bolus.nets.curve_codes import encode_curves
from bolus.nets.physical_axis import arrival_seconds
from bolus.quantify import find_bolus
from bolus.simulate import PatientSettings, simulate_patient
from bolus.simulate.anatomy import smooth_field

ROUNDS = 3
IMAGES = ("t1", "t1ce", "t2", "flair")
TISSUES = 4
REACH_VOXELS = 15
THIRTY = 30
"""Voxels of a piece, as published."""
SCENES = (
    ("grid of DSC, 128 x 128 x 24, 1.8 x 1.8 x 5 mm", (128, 128, 24), (1.8, 1.8, 5.0), 27, 0.0),
    ("the same, 3 % of codes wrong", (128, 128, 24), (1.8, 1.8, 5.0), 27, 0.03),
    ("grid of anatomy, 240 x 240 x 155, 1 mm", (240, 240, 155), (1.0, 1.0, 1.0), 27, 0.0),
)
TRADE = (
    ("500 mm3, grid of DSC", (128, 128, 24), (1.8, 1.8, 5.0), 27, 500.0),
    ("300 mm3, grid of anatomy", (120, 120, 80), (1.0, 1.0, 1.0), 20, 300.0),
)
SAMPLE = 8
WIDTH = 256


def scene(shape, sizes_mm, radius_mm, wrong, *, seed=1):
    """Return tissue, codes and images of one tumour of an ellipsoid's shape."""
    random = stream(seed, "graphs", str(shape))
    reach = np.array([1.15, 1.0, 0.9]) * radius_mm / np.array(sizes_mm)
    half = np.ceil(reach).astype(int) + 1
    box = tuple(slice(s // 2 - h, s // 2 + h) for s, h in zip(shape, half, strict=True))
    box = tuple(slice(max(b.start, 0), min(b.stop, s)) for b, s in zip(box, shape, strict=True))
    inner = tuple(b.stop - b.start for b in box)
    away = np.moveaxis(np.indices(inner), 0, -1) - (np.array(inner) - 1) / 2
    inside = ((away / reach) ** 2).sum(-1) <= 1
    soft = float(6.0 / np.mean(sizes_mm))
    fields = [smooth_field(inner, reach_voxels=soft, random=random) for _ in range(TISSUES)]
    kind = np.where(inside, np.argmax(fields, axis=0) + 1, 0)
    guess = random.integers(1, TISSUES + 1, inner)
    codes = np.where(inside & (random.random(inner) < wrong), guess, kind)
    level = random.normal(size=(len(IMAGES), TISSUES + 1)) * 1.5
    images = {}
    for name, of in zip(IMAGES, level, strict=True):
        varied = smooth_field(inner, reach_voxels=soft / 2, random=random)
        noisy = of[kind] + 0.5 * varied + 0.3 * random.standard_normal(inner)
        images[name] = np.zeros(shape, np.float32)
        images[name][box] = 300 + 80 * noisy
    whole = []
    for part in (kind, codes):
        volume = np.zeros(shape, np.int32)
        volume[box] = part
        whole.append(volume)
    return *whole, images


def spent(work, rounds=ROUNDS):
    """Return the least CPU time of some runs, and what came out."""
    least, found = np.inf, None
    for _ in range(rounds):
        begun = time.process_time()
        found = work()
        least = min(least, time.process_time() - begun)
    return least, found


# --- the published pattern -------------------------------------------------------------------


def flooded(codes):
    """Return the 26-connected components, one code after the other."""
    found = []
    for code in np.unique(codes[codes > 0]):
        labels, count = ndimage.label(codes == code, np.ones((3, 3, 3)))
        found += [(labels, number) for number in range(1, count + 1)]
    return found


def pieces_of(mask, stack):
    """Cut one component of the whole volume."""
    voxels = int(mask.sum())
    if voxels < 5 or voxels // THIRTY < 2:
        return mask.astype(np.int32)
    return slic(stack, n_segments=voxels // THIRTY, compactness=0.05, mask=mask, channel_axis=-1,
                start_label=1)  # fmt: skip


def described(mask, rows, latent):
    """Return the centre and the mean latent of one component."""
    return np.argwhere(mask).mean(axis=0), latent[rows[mask]].mean(axis=0)


def described_pieces(cut, stack):
    """Return centre and mean intensities of each piece of one component."""
    found = []
    for piece in np.unique(cut[cut > 0]):
        mask = cut == piece
        found.append((np.argwhere(mask).mean(axis=0), stack[mask].mean(axis=0)))
    return found


def looped_edges(centres, features, reach):
    """Return pairs and the cosines of all positions, one pair after the other."""
    pairs, cosine = [], []
    for i, j in itertools.combinations(range(len(centres)), 2):
        if np.linalg.norm(centres[i] - centres[j]) <= reach:
            pairs.append((i, j))
            cosine.append([a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
                           for a in features[i] for b in features[j]])  # fmt: skip
    return np.array(pairs), np.array(cosine)


def published(codes, images, latent, *, every):
    """Return CPU seconds of the parts of the pattern, for all components."""
    rows = np.full(codes.shape, -1)
    rows[codes > 0] = np.arange(np.count_nonzero(codes))
    stack = np.stack(list(images.values()), axis=-1)
    flood, components = spent(lambda: flooded(codes), 1)
    chosen = range(len(components))
    if not every:
        chosen = stream(1, "sample").choice(len(components), min(SAMPLE, len(components)), False)
    seconds, fine = [], 0
    for number in chosen:
        begun = time.process_time()
        labels, which = components[number]
        mask = labels == which
        described(mask, rows, latent)
        fine += len(described_pieces(pieces_of(mask, stack), stack))
        seconds.append(time.process_time() - begun)
    share = len(components) / len(seconds)
    return flood, np.mean(seconds), len(components), fine * share


# --- beside scikit-image, at the same pieces --------------------------------------------------


def cropped_slic(regions, stack, sizes_mm, piece_voxels, compactness):
    """Return scikit-image's pieces, each region in its own box."""
    found = np.zeros(regions.shape, np.int32)
    for label, box in enumerate(ndimage.find_objects(regions), start=1):
        mask = regions[box] == label
        count = round(mask.sum() / piece_voxels)
        cut = mask.astype(np.int32)
        if count >= 2:
            cut = slic(stack[box], n_segments=count, compactness=compactness, mask=mask,
                       channel_axis=-1, start_label=1, spacing=sizes_mm)  # fmt: skip
        found[box][mask] = cut[mask] + found.max()
    return found


def explained(pieces, values):
    """Return the share of the images' variance between pieces."""
    _, node = np.unique(pieces, return_inverse=True)
    count = np.bincount(node)
    mean = np.stack([np.bincount(node, v) / count for v in values.T], axis=1)
    return 1 - ((values - mean[node]) ** 2).sum() / ((values - values.mean(axis=0)) ** 2).sum()


def mixed(pieces, kind):
    """Return the share of voxels that are of another tissue than most of their piece."""
    _, node = np.unique(pieces, return_inverse=True)
    table = np.zeros((node.max() + 1, kind.max() + 1), int)
    np.add.at(table, (node, kind), 1)
    return 1 - table.max(axis=1).sum() / kind.size


def build(name, codes, images, sizes_mm, *, every):
    """Print the whole build beside the pattern."""
    grid = Grid(shape=codes.shape, affine=np.diag([*sizes_mm, 1.0]))
    inside = codes > 0
    voxels = int(inside.sum())
    latent = stream(1, "latent").standard_normal((voxels, 3, WIDTH), dtype=np.float32)
    latent += codes[inside][:, None, None]
    brain = Mask(values=inside, grid=grid, name="tumour")
    maps = MapSet({"ncbv": ParameterMap.from_voxels(
        images["t1"][inside].astype(float), quantity=QUANTITIES["ncbv"], mask=brain,
        provenance=Provenance())})  # fmt: skip
    labels = LabelMap(values=codes, grid=grid, names={i: str(i) for i in range(1, TISSUES + 1)})
    settings = GraphSettings(piece_mm3=THIRTY * grid.voxel_volume_ml * 1000)
    ours, graph = spent(lambda: build_graph(labels, key=SessionKey("1"), maps=maps, latent=latent,
                                            structure=images, settings=settings))  # fmt: skip
    flood, each, count, fine = published(codes, images, latent, every=every)
    centres = [np.argwhere(graph.labels(Level.COARSE) == 1).mean(axis=0)]
    assert np.allclose(graph.coarse.centres_mm[0], centres[0] * sizes_mm)
    assert count == graph.coarse.count
    total = flood + each * count
    print(f"| {name} | {voxels} | {count} | {graph.fine.count} ({fine:.0f}) | {ours:.2f} | "
          f"{each:.3f} | {total:.1f} | {total / ours:.0f}x |", flush=True)  # fmt: skip
    return graph


def cutting(name, kind, codes, images, sizes_mm):
    """Print supervoxels beside scikit-image's, whole tumour in one region and by component."""
    inside = codes > 0
    stack = np.stack(list(images.values()), axis=-1)
    values = scale_channels(stack[inside].astype(float), stack[inside].astype(float))
    scaled = np.zeros((*codes.shape, len(images)))
    scaled[inside] = values
    volume = THIRTY * float(np.prod(sizes_mm))
    for what, regions in (("whole tumour", inside.astype(np.int32)),
                          ("components", code_components(codes))):  # fmt: skip
        ours, found = spent(lambda r=regions: supervoxels(
            r, values, sizes_mm=sizes_mm, piece_mm3=volume))  # fmt: skip
        rows = [("bolus", ours, found[inside])]
        for compactness in (0.05, 0.1, 0.3):
            theirs, cut = spent(lambda r=regions, c=compactness: cropped_slic(
                r, scaled, sizes_mm, THIRTY, c), 1)  # fmt: skip
            rows.append((f"scikit-image, {compactness:g}", theirs, cut[inside]))
        for who, seconds, cut in rows:
            print(f"| {name}, {what} | {who} | {seconds:.2f} | {len(np.unique(cut))} | "
                  f"{explained(cut, values):.3f} | {100 * mixed(cut, kind[inside]):.2f} | "
                  f"{np.bincount(cut).max()} |", flush=True)  # fmt: skip


def beside(name, graph, sizes_mm):
    """Print adjacency beside scikit-image's graph, and edges beside the loop; same results."""
    labels = graph.fine.labels
    ours, found = spent(lambda: contacts_of(labels, sizes_mm=sizes_mm))
    theirs, rag = spent(lambda: RAG(labels, connectivity=3), 1)
    pairs = {tuple(sorted((a - 1, b - 1))) for a, b in rag.edges if a and b}
    assert pairs == {tuple(pair) for pair in found.pairs.tolist()}
    print(f"| {name}: adjacency | {len(pairs)} pairs | {ours:.3f} | {theirs:.2f} | "
          f"{theirs / ours:.0f}x |", flush=True)  # fmt: skip
    centres = graph.fine.centres_mm[:1500]
    features = np.random.default_rng(1).normal(size=(len(centres), 3, 16))
    reach = 12.0

    def vectorised():
        near = near_pairs(centres, reach_mm=reach)
        return near, cosines(features, near)

    ours, (near, alike) = spent(vectorised)
    theirs, (looped, cosine) = spent(lambda: looped_edges(centres, features, reach), 1)
    assert np.array_equal(near, looped)
    assert np.allclose(alike, cosine)
    print(f"| {name}: edges, {len(centres)} nodes | {len(near)} pairs | {ours:.3f} | {theirs:.2f} |"
          f" {theirs / ours:.0f}x |", flush=True)  # fmt: skip


def trade():
    """Print what compactness buys: fidelity to tissue, and the same pieces in a second scan."""
    for what, shape, sizes_mm, radius, piece in TRADE:
        for compactness in (0.125, 0.25, 0.5, 1.0, 2.0):
            rows = []
            for seed in (1, 2, 3):
                kind, codes, images = scene(shape, sizes_mm, radius, 0.0, seed=seed)
                inside = codes > 0
                stack = np.stack(list(images.values()), axis=-1)[inside].astype(float)
                cuts = []
                for scan in ("1", "2"):
                    noise = stream(seed, "again", scan).standard_normal(stack.shape)
                    noisy = stack + 24 * noise
                    cut = supervoxels(inside.astype(np.int32), scale_channels(noisy, noisy),
                                      sizes_mm=sizes_mm, piece_mm3=piece,
                                      compactness=compactness)  # fmt: skip
                    cuts.append(cut[inside])
                clean = scale_channels(stack, stack)
                rows.append((len(np.unique(cuts[0])), explained(cuts[0], clean),
                             100 * mixed(cuts[0], kind[inside]), adjusted_rand(*cuts)))  # fmt: skip
            count, share, wrong, again = np.mean(rows, axis=0)
            print(f"| {what} | {compactness:g} | {count:.0f} | {share:.3f} | {wrong:.1f} | "
                  f"{again:.2f} |", flush=True)  # fmt: skip


def eight(codes, images, sizes_mm):
    """Print the time of a cut on eight channels."""
    inside = codes > 0
    stack = np.stack(list(images.values()), axis=-1)[inside].astype(float)
    stack = np.concatenate([stack, stack[::-1]], axis=1)
    volume = THIRTY * float(np.prod(sizes_mm))

    def cut():
        return supervoxels(inside.astype(np.int32), scale_channels(stack, stack),
                           sizes_mm=sizes_mm, piece_mm3=volume)  # fmt: skip

    print(f"\n{len(stack)} voxels of 8 channels: {spent(cut)[0]:.2f} CPU-s", flush=True)


def displaced(graph, sizes_mm):
    """Print which nodes find themselves again if registration is wrong by some voxels."""
    for off in (0, 1, 2, 3, 5):
        cells = []
        for level in Level:
            labels = graph.labels(level)
            links = link_visits(labels, np.roll(labels, off, axis=0), voxel_mm3=1.0)
            best = np.full(graph.nodes(level).count, -1)
            order = np.argsort(links.overlap_mm3, kind="stable")
            best[links.pairs[order, 0]] = links.pairs[order, 1]
            volume = graph.nodes(level).column("volume_mm3")
            found = best == np.arange(best.size)
            cells += [
                f"{100 * found.mean():.0f}",
                f"{100 * volume[found].sum() / volume.sum():.0f}",
            ]
        print(f"| {off * sizes_mm[0]:g} | " + " | ".join(cells) + " |", flush=True)


def coded(exam, weights):
    """Return the codes of a simulated exam's tumour, and the latents of its voxels."""
    tumour, bolus = exam.tumour.foreground, find_bolus(exam.signal, exam.brain)
    signal, seconds = exam.signal.from_frame(bolus.steady), exam.signal.time.seconds
    found = encode_curves(
        signal.curves(tumour, dtype=np.float32),
        interval_s=signal.time.uniform_step_s(),
        arrival_s=arrival_seconds(bolus, seconds - seconds[bolus.steady]),
        weights=weights,
    )
    codes = np.zeros(tumour.grid.shape, np.int32)
    codes[tumour.values] = found.codes
    latent = found.latent[found.codes > 0]
    return codes, latent.reshape(len(latent), weights.card.settings["positions"], -1)


def alike(first, second):
    """Return the share of volume that a link of most overlap joins to a node of the same code."""
    labels = [graph.labels(Level.COARSE) for graph in (first, second)]
    links = link_visits(*labels, voxel_mm3=1.0)
    order = np.argsort(links.overlap_mm3, kind="stable")
    best = np.full(first.coarse.count, -1)
    best[links.pairs[order, 0]] = links.pairs[order, 1]
    same = (best >= 0) & (first.codes == second.codes[best])
    volume = first.coarse.column("volume_mm3")
    return volume[same].sum() / volume.sum()


def exams(seeds):
    """Print graphs of whole simulated exams with the shipped codes, scanned twice."""
    weights, rows = shipped_weights("curve-codes"), {}
    agree = []
    for seed in seeds:
        scans = [simulate_patient(PatientSettings(seed=seed, scan=scan)) for scan in (0, 1)]
        both = [coded(scan, weights) for scan in scans]
        common = (both[0][0] > 0) & (both[1][0] > 0)
        agree.append(np.mean(both[0][0][common] == both[1][0][common]))
        for least in (0, 50, 100, 200, 400):
            graphs, begun = [], time.process_time()
            for scan, (codes, latent) in zip(scans, both, strict=True):
                names = {int(code): f"H{code}" for code in np.unique(codes[codes > 0])}
                graphs.append(build_graph(
                    LabelMap(values=codes, grid=scan.signal.grid, names=names),
                    key=SessionKey("1"), maps=scan.truth, structure={"t1ce": scan.anatomy},
                    latent=latent, settings=GraphSettings(smallest_mm3=least)))  # fmt: skip
            seconds = (time.process_time() - begun) / 2
            graph, codes = graphs[0], both[0][0]
            kept = graph.codes[graph.labels(Level.COARSE)[codes > 0] - 1] == codes[codes > 0]
            voxel = graph.grid.voxel_volume_ml * 1000
            lone = graph.coarse.column("volume_mm3") < 1.5 * voxel
            rows.setdefault(least, []).append(
                (graph.coarse.count, 100 * lone.mean(), graph.coarse_edges.count, graph.fine.count,
                 100 * kept.mean(), 100 * alike(*graphs), seconds))  # fmt: skip
    print(f"same code in two scans: {', '.join(f'{100 * share:.0f}' for share in agree)} %")
    for least, found in rows.items():
        nodes, lone, edges, fine, kept, same, seconds = np.mean(found, axis=0)
        print(f"| {least} | {nodes:.0f} | {lone:.0f} | {edges:.0f} | {fine:.0f} | {kept:.1f} | "
              f"{same:.0f} | {seconds:.2f} |", flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="time every component of the pattern")
    parser.add_argument("--exams", type=int, default=4, help="whole simulated exams")
    asked = parser.parse_args()
    tumours = [(name, *scene(shape, sizes, radius, wrong), sizes)
               for name, shape, sizes, radius, wrong in SCENES]  # fmt: skip
    print("| tumour | voxels | coarse nodes | fine nodes (pattern's) | bolus [s] | pattern a "
          "component [s] | pattern [s] | ratio |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    graphs = [build(name, *rest, every=asked.all) for name, _, *rest in tumours]
    print("\n| part | found | bolus [s] | peer [s] | ratio |\n|---|---|---|---|---|")
    for tumour, graph in zip(tumours, graphs, strict=True):
        beside(tumour[0], graph, tumour[-1])
    print("\n| tumour | who, compactness | CPU-s | pieces | variance explained | mixed voxels [%] |"
          " largest piece |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for tumour in tumours:
        cutting(*tumour)
    eight(*tumours[-1][2:])
    print("\n| pieces | compactness | count | variance explained | mixed voxels [%] | ARI of two "
          "scans |\n|---|---|---|---|---|---|")  # fmt: skip
    trade()
    print("\n| shift [mm] | coarse nodes found [%] | of volume [%] | fine nodes found [%] | of "
          "volume [%] |\n|---|---|---|---|---|")  # fmt: skip
    displaced(graphs[-1], tumours[-1][-1])
    print("\n| smallest [mm3] | coarse nodes | of one voxel [%] | coarse edges | fine nodes | "
          "voxels that keep their code [%] | volume linked to the same code in a second scan [%] | "
          "build [s] |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    exams(range(11, 11 + asked.exams))


if __name__ == "__main__":
    main()
