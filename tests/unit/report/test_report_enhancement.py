"""The page of a series with and without a method, as a reader and a browser see it."""

from dataclasses import replace

import numpy as np
import pytest
from networks_example import CARD
from page_reader import HOSTILE, Page, loads_nothing

from bolus import RESEARCH_USE
from bolus.core import Acquisition, Grid, Mask, PerfusionSeries, Provenance, Step, TimeAxis, stream
from bolus.core.quantities import SIGNAL
from bolus.errors import GeometryError
from bolus.quantify.series_change import series_change
from bolus.report.enhancement import render_enhancement_report
from bolus.report.enhancement_findings import EnhancementFindings

SHAPE = (20, 20, 6)
GRID = Grid(shape=SHAPE, affine=np.diag([3.0, 3.0, 5.0, 1.0]))
SECONDS = 1.5 * np.arange(40)


def series(noise):
    passage = np.exp(-(((SECONDS - 30) / 5) ** 2))
    depth = np.where(np.indices(SHAPE)[0] == 10, 1.0, 0.1)
    clean = 500 * np.exp(-depth[..., None] * passage)
    return PerfusionSeries(
        values=clean + stream(1, "page").normal(0, noise, (*SHAPE, 40)), quantity=SIGNAL,
        grid=GRID, time=TimeAxis(seconds=SECONDS), acquisition=Acquisition(),
        provenance=Provenance().then(Step("preprocess.denoise_local_pca", {"window": "5 x 5 x 3"})),
    )  # fmt: skip


def findings() -> EnhancementFindings:
    before, after = series(8.0), series(2.0)
    brain = Mask(values=np.ones(SHAPE, bool), grid=GRID, name="brain")
    return EnhancementFindings(
        label="sub-01", version="0", created="2026-01-01", method="local_pca", kind="dsc",
        before=before, after=after, brain=brain, baseline=slice(0, 12), moment=20,
        change=series_change(before, after, brain, baseline=slice(0, 12), falls=True),
        provenance=after.provenance, sigma=np.full(SHAPE, 8.0),
    )  # fmt: skip


@pytest.fixture(scope="module")
def plain():
    return render_enhancement_report(findings())


def test_the_page_is_whole_and_loads_nothing(plain):
    page = Page(plain)

    assert page.open == []
    loads_nothing(plain, page)
    assert page.words.count(RESEARCH_USE) == 3
    assert "No network was used" in page.words
    assert "Veraart" in page.words or "principal components" in page.words
    for image in [a for tag, a in page.tags if tag == "img"]:
        assert len(image["alt"] or "") > 20


def test_a_network_is_named_on_top(plain):
    page = Page(render_enhancement_report(replace(findings(), card=CARD)))

    assert "A network changed this series; it was trained on simulated images" in page.words
    assert CARD.name in page.words


def test_the_same_findings_give_the_same_bytes(plain):
    assert render_enhancement_report(findings()) == plain


def test_text_from_outside_is_escaped():
    page = Page(render_enhancement_report(replace(findings(), label=HOSTILE, warnings=(HOSTILE,))))

    assert not [tag for tag, _ in page.tags if tag == "script"]


def test_noise_of_another_shape_is_refused():
    with pytest.raises(GeometryError):
        replace(findings(), sigma=np.ones((2, 2, 2)))
