"""Write docs/reference/dce_accuracy.md from the record of a certificate.

Run: .venv/bin/bolus certify -o certificate --only dce --profile full --reference-data ../shared
     .venv/bin/python benchmarks/dce_accuracy.py certificate/certificate.json
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "dce_accuracy.md"
HEAD = """# Accuracy of DCE on objects with known truth

Written by `benchmarks/dce_accuracy.py` from `bolus certify --only dce --profile full` (seed 1).
Errors are found minus true in percent of the truth; columns with *abs.* hold sizes. What each
object is and which limits hold is told in [certify](../how-to/certify.md), the models in
[DCE models](../science/dce_models.md).
"""

Record = dict[str, Any]


def gates(found: list[Record]) -> str:
    text = "| gate | object | method | value | goal |\n|---|---|---|---|---|\n"
    for g in found:
        value = "not run" if g["value"] is None else f"{g['value']:.3g}"
        text += f"| {g['name']} | {g['object']} | {g['method']} | {value} | {g['goal']} |\n"
    return text


def table(title: str, errors: list[Record]) -> str:
    columns = list(dict.fromkeys(e["column"] for e in errors))
    rows: dict[tuple[str, str], list[str]] = {}
    for e in errors:
        value = e["error_percent"]
        cell = "" if value is None else f"{value:.1f}"
        rows.setdefault((e["object"], e["method"]), []).append(cell)
    text = f"### {title}\n\n| object | method | " + " | ".join(columns) + " |\n"
    text += "|---" * (len(columns) + 2) + "|\n"
    return text + "".join(f"| {a} | {b} | " + " | ".join(c) + " |\n" for (a, b), c in rows.items())


def page(record: Record) -> str:
    """Return the whole page."""
    texts = [HEAD]
    for part in dict.fromkeys(g["part"] for g in record["gates"] if g["chapter"] == "dce"):
        texts += [f"## {part}\n", gates([g for g in record["gates"] if g["part"] == part])]
        own = [e for e in record["errors"] if e["part"] == part]
        for title in dict.fromkeys(e["table"] for e in own):
            texts.append(table(title, [e for e in own if e["table"] == title]))
    return "\n".join(texts)


def main() -> None:
    PAGE.write_text(page(json.loads(Path(sys.argv[1]).read_text("utf-8"))), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
