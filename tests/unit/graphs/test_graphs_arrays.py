import numpy as np

from bolus.graphs import Level, build_graph, graph_arrays
from bolus.simulate.habitat_phantom import simulate_habitat_phantom


def test_arrays_hold_what_the_graph_knows():
    lesion = simulate_habitat_phantom(1, seed=2)[0]
    count = int(np.count_nonzero(lesion.truth.values))
    latent = np.random.default_rng(1).normal(size=(count, 3, 4))
    graph = build_graph(lesion.truth, key=lesion.key, maps=lesion.maps, structure={}, latent=latent)
    found = graph_arrays(graph)

    assert found.coarse.features.shape == (graph.coarse.count, len(found.coarse.names))
    np.testing.assert_allclose(
        found.coarse.features[:, found.coarse.names.index("latent_5")],
        graph.coarse.latent[:, 1, 1], rtol=1e-5,
    )  # fmt: skip
    assert found.coarse.features[:, -1].tolist() == graph.codes.tolist()
    np.testing.assert_array_equal(found.parents, graph.parents)
    for level, own in ((Level.COARSE, found.coarse), (Level.FINE, found.fine)):
        edges = graph.edges(level)
        np.testing.assert_array_equal(own.pairs, edges.pairs)
        np.testing.assert_allclose(np.expm1(own.edges[:, 0]), edges.contact_mm2, rtol=1e-3)
        np.testing.assert_allclose(10 * own.edges[:, 1], edges.distance_mm, rtol=1e-5)
