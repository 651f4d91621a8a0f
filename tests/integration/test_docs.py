"""The documentation that the server carries: pages, their Markdown, and the documents of docs/api."""

import html.parser
import json
import re
import shutil
import urllib.parse

import pytest
import yaml

from chromium import open_chromium
from harness import ROOT

PAGES = [page["name"] for page in json.loads((ROOT / "docs/pages.json").read_text())["pages"]]
BUILT = shutil.which("npm") is not None

needs_node = pytest.mark.skipif(not BUILT, reason="needs a server built with Node")


class Page(html.parser.HTMLParser):
    """The anchors of a page, and where its links lead."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.twice = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.twice += [attrs["id"]] * (attrs["id"] in self.ids)
            self.ids.add(attrs["id"])
        if tag == "a":
            self.links.append(attrs["href"])


@pytest.fixture(scope="module")
def pages(shared):
    return {path: Page(shared.http.get(path).text)
            for path in ["/docs", *(f"/docs/{name}" for name in PAGES)]}


@needs_node
def test_every_link_and_anchor_of_every_page_leads_somewhere(shared, pages):
    asked = {}
    for path, page in pages.items():
        assert not page.twice, f"{path} has these anchors twice: {page.twice}"
        for link in page.links:
            where, _, anchor = urllib.parse.urljoin(path, link).partition("#")
            if re.match(r"https?://|mailto:", where):
                continue
            if where not in asked:
                asked[where] = shared.http.get(where).status_code
            assert asked[where] == 200, f"{path} links to {link}"
            assert not anchor or urllib.parse.unquote(anchor) in pages[where].ids, \
                f"{path} links to {link}"
    assert len(asked) > len(PAGES)


@needs_node
def test_every_page_is_reached_from_every_other(pages):
    for path, page in pages.items():
        assert {f"/docs/{name}" for name in PAGES} <= set(page.links), path


@needs_node
def test_the_type_of_every_problem_leads_to_its_section(pages):
    text = (ROOT / "include/base/err.h").read_text().replace("\\\n", " ")
    codes = set(re.findall(r'X\([A-Z0-9_]+,\s*"(\w+)"', text))
    assert len(codes) > 40
    assert codes <= pages["/docs/errors"].ids


@needs_node
def test_pages_have_a_policy_that_admits_their_style_alone(shared):
    answer = shared.http.get("/docs/wire")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy
    assert "style-src 'sha256-" in policy and "unsafe" not in policy
    assert "<script" not in answer.text


def test_every_page_of_the_folder_is_listed():
    listed = {page["file"] for page in json.loads((ROOT / "docs/pages.json").read_text())["pages"]}
    there = {f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")}
    assert there - listed == {"docs/design-page.md"}  # for who works on the page, with its pictures


def test_pages_have_the_colours_of_the_page(shared):
    def colours(path):
        def long(colour):  # as #abc is written by who makes things short
            return "".join(2 * digit for digit in colour) if len(colour) == 3 else colour
        found = re.findall(r"(--[a-z-]+): ?light-dark\(#(\w+), ?#(\w+)\)", shared.http.get(path).text)
        return {name: (long(light), long(dark)) for name, light, dark in found}
    app, site = colours("/"), colours("/docs/wire")
    assert len(site) > 7 and site.items() <= app.items()


def test_llms_txt_lists_every_page_as_markdown(shared):
    answer = shared.http.get("/llms.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert re.match(r"# Pushwire\n\n> .+\n\n## Docs\n", answer.text)
    links = re.findall(r"\]\((/[^)]+)\)", answer.text)
    assert [f"/docs/{name}.md" for name in PAGES] == links[:len(PAGES)]
    for link in links:
        assert shared.http.get(link).status_code == 200, link


def test_the_markdown_of_a_page_is_the_file(shared):
    answer = shared.http.get("/docs/wire.md")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text == (ROOT / "docs/wire.md").read_text()


@pytest.mark.parametrize("path", ["/docs/nothing", "/docs/wire.txt", "/docs/%2e", "/docs/wire/x",
                                  "/docs/", "/llms.txt/", "/openapi"])
def test_a_page_that_is_none_is_not_found(shared, path):
    answer = shared.http.get(path)
    assert answer.status_code in (400, 404)
    assert answer.json()["code"] in ("not_found", "bad_id")


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
def test_the_documents_are_served_as_they_are_and_as_json(shared, name):
    written = shared.http.get(f"/{name}.yaml")
    assert written.headers["content-type"] == "application/yaml"
    assert written.text == (ROOT / f"docs/api/{name}.yaml").read_text()
    made = shared.http.get(f"/{name}.json")
    if not BUILT:
        assert made.status_code == 404
        return
    assert made.headers["content-type"] == "application/json"
    assert made.json() == yaml.safe_load(written.text)


@needs_node
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_is_readable_on_a_phone_and_opens_at_its_section(shared, theme):
    browser = open_chromium()
    try:
        page = browser.open(f"{shared.url}/docs/errors#missing_field", colorScheme=theme,
                            viewport={"width": 360, "height": 760})
        top = page.run("document.querySelector(':target').getBoundingClientRect().top")
        assert 0 < top < 200 and page.run("scrollY") > 500
        assert page.run("document.documentElement.scrollWidth") == 360
        light = page.run("getComputedStyle(document.documentElement).backgroundColor")
        assert light == {"light": "rgb(244, 246, 245)", "dark": "rgb(17, 20, 22)"}[theme]
        page.click("text=All pages")
        page.click("nav[aria-label='All pages'] >> text=Security")
        page.until("location.pathname === '/docs/security'")
        page.click("text=On this page")
        assert page.complaints() == []
    finally:
        browser.close()
