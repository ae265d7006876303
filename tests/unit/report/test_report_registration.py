"""The registration picture shows both visits on three planes, the same bytes every time."""

from urllib.parse import unquote

import numpy as np

from bolus.core import Grid, Mask
from bolus.report.figures_registration import Overlay, registration_picture


def overlay(**changes) -> Overlay:
    grid = Grid(shape=(40, 48, 12), affine=np.diag([-4.0, 4.0, 10.0, 1.0]))
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in grid.shape], indexing="ij")
    head = np.where(x**2 + y**2 + z**2 < 0.8, 500.0, 5.0)
    later = 2 * head
    later[..., -1] = np.nan
    lesion = Mask(values=(x - 0.3) ** 2 + y**2 + z**2 < 0.05, grid=grid, name="lesion")
    fields = {
        "first": head,
        "later": later,
        "grid": grid,
        "name": "ses-02",
        "error_mm": 0.2,
        "lesions": (lesion, lesion),
    }
    return Overlay(**(fields | changes))


def test_the_picture_names_the_visit_and_its_error():
    picture = registration_picture(overlay())
    assert "ses-02" in picture.alt
    assert "0.20 mm" in picture.alt
    text = unquote(picture.uri)
    assert text.count("<image") == 6
    assert "#b3261e" in text
    assert picture.uri == registration_picture(overlay()).uri


def test_a_picture_without_lesions_or_head_is_drawn_all_the_same():
    assert "#b3261e" not in unquote(registration_picture(overlay(lesions=(None, None))).uri)
    empty = np.zeros(overlay().grid.shape)
    assert registration_picture(overlay(first=empty, later=empty, lesions=(None, None))).width > 300
