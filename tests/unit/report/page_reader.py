"""A page as a browser reads it."""

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "input", "hr"}
HOSTILE = """</title><script>alert("1")</script><img src=x onerror='a()'>&{{ 7*7 }}"""


class Page(HTMLParser):
    """What a browser makes of the page: tags, open elements, text outside of styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words += data


def loads_nothing(text: str, page: Page) -> None:
    """Check that a page holds its pictures inside, links to DOIs only, and has no scripts."""
    loads = [a[k] for _, a in page.tags for k in ("src", "data", "poster") if a.get(k)]
    links = [a["href"] for tag, a in page.tags if "href" in a]
    css = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))

    assert loads
    assert all(address.startswith("data:image/svg+xml,") for address in loads)
    assert all(address.startswith("https://doi.org/10.") for address in links)
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & {
        tag for tag, _ in page.tags
    }
    assert "url(" not in css
    assert "@import" not in css
    assert any("default-src 'none'" in (a.get("content") or "") for _, a in page.tags)
