"""Graphs as one batch, and what the network on them may and may not depend on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bolus.core import SessionKey
from bolus.core.graph_arrays import GraphArrays, LevelArrays
from bolus.errors import MetadataError, QuantityError
from bolus.nets.graph_batch import Scale, batch_graphs
from bolus.nets.graph_network import GraphNetworkSettings, marker_loss, start_graph
from bolus.nets.machine import one_thread_count

CLASSES = {"idh": 2, "grade": 3}
SETTINGS = GraphNetworkSettings(
    coarse_features=3, fine_features=2, coarse_edges=2, fine_edges=1, classes=CLASSES, width=8
)


def level(random, count, features, edges, joined):
    pairs = np.array([(a, b) for a in range(count) for b in range(a + 1, count)])
    pairs = pairs.reshape(-1, 2)
    pairs = pairs[random.random(len(pairs)) < joined]
    return LevelArrays(
        names=tuple(f"f{n}" for n in range(features)),
        features=random.normal(size=(count, features)).astype(np.float32),
        pairs=pairs.astype(np.int64), edge_names=tuple(f"e{n}" for n in range(edges)),
        edges=random.normal(size=(len(pairs), edges)).astype(np.float32),
    )  # fmt: skip


def visit(seed, regions=5, pieces=14):
    random = np.random.default_rng(seed)
    return GraphArrays(
        key=SessionKey(f"{seed}"), coarse=level(random, regions, 3, 2, 0.5),
        fine=level(random, pieces, 2, 1, 0.4), parents=random.integers(regions, size=pieces),
    )  # fmt: skip


VISITS = [visit(n, regions=3 + n) for n in range(6)]
SCALES = {
    "coarse": Scale.of([v.coarse for v in VISITS]), "fine": Scale.of([v.fine for v in VISITS]),
}  # fmt: skip


def answers(patients, settings=SETTINGS):
    network = start_graph(settings, seed=1).eval()
    with torch.no_grad():
        return network(batch_graphs(patients, **SCALES))


def renumbered(one, seed=0):
    """Return a visit with its nodes, pieces and edges in another order."""
    random = np.random.default_rng(seed)

    def shuffled(own):
        order = random.permutation(len(own.features))
        place = np.argsort(order)
        edges = random.permutation(len(own.pairs))
        turned = place[own.pairs[edges]][:, ::-1]
        return replace(
            own, features=own.features[order], pairs=turned, edges=own.edges[edges]
        ), order, place  # fmt: skip

    coarse, _, place = shuffled(one.coarse)
    fine, order, _ = shuffled(one.fine)
    return replace(one, coarse=coarse, fine=fine, parents=place[one.parents[order]])


def test_a_patient_is_the_same_alone_and_among_others():
    together = answers([[v] for v in VISITS])
    for n, one in enumerate(VISITS):
        alone = answers([[one]])
        for marker in CLASSES:
            torch.testing.assert_close(alone[marker][0], together[marker][n], rtol=1e-4, atol=1e-5)


def test_the_order_of_nodes_and_edges_says_nothing():
    for marker, said in answers([VISITS[:2]]).items():
        other = answers([[renumbered(v) for v in VISITS[:2]][::-1]])[marker]
        torch.testing.assert_close(said, other, rtol=1e-4, atol=1e-5)


def test_edges_pieces_and_regions_each_count_until_they_are_turned_off():
    one = VISITS[3]
    moved = {
        "messages": replace(one, coarse=replace(one.coarse, pairs=one.coarse.pairs[:0],
                                                edges=one.coarse.edges[:0])),
        "structure": replace(one, fine=replace(one.fine, features=one.fine.features + 1)),
        "perfusion": replace(one, coarse=replace(one.coarse, features=one.coarse.features + 1)),
    }  # fmt: skip
    for switch, other in moved.items():
        off = replace(SETTINGS, **{switch: False})
        assert not torch.allclose(answers([[one]])["idh"], answers([[other]])["idh"], atol=1e-5)
        torch.testing.assert_close(answers([[one]], off)["idh"], answers([[other]], off)["idh"])


def test_visits_are_weighed_and_twice_the_same_visit_is_one():
    once, twice = answers([[VISITS[1]]]), answers([[VISITS[1], VISITS[1]]])
    torch.testing.assert_close(once["idh"], twice["idh"], rtol=1e-4, atol=1e-5)
    both = answers([[VISITS[1], VISITS[2]]])
    assert not torch.allclose(both["idh"], once["idh"], atol=1e-4)


def test_values_that_are_not_there_are_the_mean():
    one = VISITS[2]
    features = np.array(one.coarse.features)
    features[0, 1] = np.nan
    known = np.array(features)
    known[0, 1] = SCALES["coarse"].mean[1]
    lost, mean = (replace(one, coarse=replace(one.coarse, features=f)) for f in (features, known))
    torch.testing.assert_close(answers([[lost]])["idh"], answers([[mean]])["idh"])


def test_a_tumour_of_one_region_without_edges_has_an_answer():
    said = answers([[visit(9, regions=1, pieces=1)]])
    assert all(torch.isfinite(value).all() for value in said.values())


def test_threads_do_not_change_a_byte():
    found = []
    for threads in (1, 2, 4):
        with one_thread_count(threads):
            found.append(answers([[v] for v in VISITS])["idh"].numpy().tobytes())
    assert found[0] == found[1] == found[2]


def test_unknown_labels_count_nothing_and_hard_ones_count_more():
    logits = {"idh": torch.tensor([[4.0, 0.0], [0.0, 4.0], [0.0, 0.0]]), "grade": torch.zeros(3, 3)}
    weights = {"idh": torch.ones(2), "grade": torch.ones(3)}
    unknown = torch.full((3,), -1)
    right = {"idh": torch.tensor([0, 1, -1]), "grade": unknown}
    wrong = {"idh": torch.tensor([1, 0, -1]), "grade": unknown}
    assert marker_loss(logits, right, weights) < 1e-3 < marker_loss(logits, wrong, weights)
    nothing = {"idh": unknown, "grade": unknown}
    assert float(marker_loss(logits, nothing, weights)) == 0
    entropy = marker_loss(logits, wrong, weights, focus=0.0)
    said = torch.nn.functional.cross_entropy(logits["idh"][:2], wrong["idh"][:2])
    torch.testing.assert_close(entropy, said)


def test_it_learns_what_only_edges_show():
    """Patients differ only in whether alike regions touch."""
    random = np.random.default_rng(5)

    def patient(alike):
        kind = np.repeat([-1.0, 1.0], 5)
        features = np.column_stack([kind, *random.normal(0, 0.1, (2, 10))]).astype(np.float32)
        pairs = [(a, b) for a in range(10) for b in range(a + 1, 10)
                 if (kind[a] == kind[b]) == alike and random.random() < 0.5]  # fmt: skip
        plain = visit(1, regions=10)
        return replace(plain, coarse=replace(
            plain.coarse, features=features, pairs=np.array(pairs),
            edges=np.zeros((len(pairs), 2), np.float32),
        ))  # fmt: skip

    labels = torch.tensor([n % 2 for n in range(40)])
    patients = [[patient(bool(n))] for n in labels]
    batch = batch_graphs(patients, **SCALES)
    found = {}
    for messages in (True, False):
        network = start_graph(replace(SETTINGS, messages=messages, dropout=0.0), seed=1)
        steps = torch.optim.Adam(network.parameters(), lr=1e-2)
        for _ in range(60):
            steps.zero_grad()
            loss = marker_loss(
                {"idh": network(batch)["idh"]}, {"idh": labels}, {"idh": torch.ones(2)}
            )
            loss.backward()
            steps.step()
        found[messages] = float(loss.detach())
    assert found[True] < 0.05
    assert found[False] > 0.1


@pytest.mark.parametrize(
    "change", [{"width": 0}, {"classes": {}}, {"classes": {"idh": 1}},
               {"perfusion": False, "structure": False}],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(change):
    with pytest.raises(MetadataError, match="cannot be"):
        replace(SETTINGS, **change)


def test_graphs_with_other_columns_are_refused():
    one = VISITS[0]
    other = replace(one, coarse=replace(one.coarse, names=("f0", "f2", "f1")))
    with pytest.raises(QuantityError, match="another order"):
        batch_graphs([[other]], **SCALES)
    with pytest.raises(QuantityError, match="without a visit"):
        batch_graphs([[one], []], **SCALES)
    with pytest.raises(QuantityError, match="no graph"):
        Scale.of([])


def test_arrays_that_do_not_fit_are_refused():
    one = VISITS[0]
    with pytest.raises(QuantityError, match="do not fit"):
        replace(one.coarse, pairs=np.array([[0, 99]]), edges=np.zeros((1, 2), np.float32))
    with pytest.raises(QuantityError, match="parents"):
        replace(one, parents=np.full(len(one.parents), 99))
