"""One page of HTML that holds everything it needs and loads nothing."""

from collections.abc import Mapping
from importlib.resources import files

import jinja2

from bolus import RESEARCH_USE


def render_page(template: str, context: Mapping[str, object]) -> str:
    """Return a template of this package, filled in; all text of the context is escaped.

    Args:
        template: its file name.
        context: what it knows, apart from the sentence on research use.

    Returns:
        The page as text, to be written as UTF-8.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(research_use=RESEARCH_USE, **context)


def _read(name: str) -> str:
    return (files("bolus.report") / "templates" / name).read_text(encoding="utf-8")
