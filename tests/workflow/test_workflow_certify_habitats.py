"""The chapter of habitats: gates of clustering hold, and other ways fail as they are known to."""

import pytest

from bolus.report.certificate_findings import Part
from bolus.workflows import gates_habitats
from bolus.workflows.gates_habitats_accuracy import OURS, SCENARIOS, accuracy_part
from bolus.workflows.gates_request import PROFILES, GateRequest
from bolus.workflows.progress import silent

QUICK = GateRequest(seed=2, profile=PROFILES["quick"])


@pytest.mark.slow
def test_habitats_are_found_on_every_scanner_and_other_ways_fail():
    part = accuracy_part(QUICK)
    less = {row.method: row.errors for row in part.tables[0].rows}

    assert [gate.name for gate in part.gates if not gate.passed] == []
    assert len(part.gates) == 3 * len(SCENARIOS) + 1
    assert min(less[OURS]) > -5
    assert less["k-means, raw CBV, z-scores of each patient"][-1] < -40
    assert less["k-means, raw CBV, z-scores of the cohort"][2] < -20


def test_the_chapter_has_all_three_subjects(monkeypatch):
    def stub(title):
        return Part(title=title, text="")

    monkeypatch.setattr(gates_habitats, "accuracy_part", lambda request: stub("a"))
    for name in ("gates_habitats_change", "gates_habitats_score"):
        module = getattr(gates_habitats, name)
        monkeypatch.setattr(module, "gates", lambda request, progress, name=name: (stub(name),))

    parts = gates_habitats.certify_habitats(QUICK, silent)

    assert [part.title for part in parts] == ["a", "gates_habitats_change", "gates_habitats_score"]
