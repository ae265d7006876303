"""What the documentation shows runs, and names options that exist."""

import re

import pytest
import typer.main
from source import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


def _page(path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(path, language: str) -> list[str]:
    return [
        body for kind, body in FENCE.findall(path.read_text(encoding="utf-8")) if kind == language
    ]


@pytest.mark.parametrize("path", [p for p in PAGES if _blocks(p, "python")], ids=_page)
def test_python_blocks_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "docs"}

    for block in _blocks(path, "python"):
        exec(compile(block, str(path), "exec"), names)


def _commands(path) -> list[str]:
    lines = "\n".join(_blocks(path, "console") + _blocks(path, "bash")).replace("\\\n", " ")
    return [m.group(1) for m in re.finditer(r"^\$? ?(bolus(?: .*)?)$", lines, re.M)]


@pytest.mark.parametrize("path", [p for p in PAGES if _commands(p)], ids=_page)
def test_commands_and_options_exist(path):
    from bolus.cli import app

    group = typer.main.get_command(app)
    for line in _commands(path):
        words = line.split(" #")[0].split()[1:]
        name = next((w for w in words if not w.startswith("-")), None)
        command = group.commands.get(name) if name else group
        assert command is not None, line
        if name and (inside := getattr(command, "commands", None)):
            command = inside[words[words.index(name) + 1]]
        known = {
            o for c in (group, command) for p in c.params for o in (*p.opts, *p.secondary_opts)
        }
        asked = {w.split("=")[0] for w in words if w.startswith("--")}
        assert asked <= known | {"--help"}, line


LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


@pytest.mark.parametrize("path", PAGES, ids=_page)
def test_links_between_pages_resolve(path):
    broken = [
        target
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]

    assert broken == []


def test_every_page_is_in_the_table_of_contents():
    docs = ROOT / "docs"
    listed = set()
    for page in docs.rglob("*.md"):
        for body in re.findall(
            r"^```\{toctree\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S
        ):
            names = [line.strip() for line in body.splitlines() if line and line[0] != ":"]
            listed |= {(page.parent / name).with_suffix(".md").resolve() for name in names if name}
    pages = {path.resolve() for path in docs.rglob("*.md") if "_build" not in path.parts}

    assert pages - listed == {(docs / "index.md").resolve()}


def test_pages_link_within_what_is_built():
    docs = ROOT / "docs"
    for page in docs.rglob("*.md"):
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            if link.endswith(".md"):
                assert (page.parent / link).resolve().is_relative_to(docs.resolve()), (page, link)
