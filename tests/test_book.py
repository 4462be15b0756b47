"""The pages of the book, made by its command and read in a real browser.

Needs the extra `book`, selenium, and Debian's packages chromium and chromium-driver.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urljoin, urlsplit

import pytest

pytestmark = pytest.mark.book
ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "book" / "site"
FLAGS = [
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
]
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
DESKTOP = {"width": 1440, "height": 900, "deviceScaleFactor": 1, "mobile": False}


class Page(HTMLParser):
    """What a page links to and can be linked at, what it loads, and its text but for code."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links, self.loads, self.ids, self.tags = [], [], set(), []
        self.text, self.silent = "", 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.ids |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        loaded = given.get("src") or (given.get("href") if tag == "link" else None)
        if loaded and given.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(loaded)
        self.silent += tag in ("pre", "code", "script", "style")

    def handle_endtag(self, tag):
        self.silent -= tag in ("pre", "code", "script", "style")

    def handle_data(self, data):
        self.text += "" if self.silent else data


@pytest.fixture(scope="session")
def pages():
    """{address: page} of the book, made first."""
    done = subprocess.run([sys.executable, "-m", "octavo.book"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return {path.relative_to(SITE).as_posix(): Page(path) for path in sorted(SITE.rglob("*.html"))}


@pytest.fixture(scope="session")
def host(pages):
    """Where the pages are served."""

    class Quiet(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.fail("no chromium or no chromedriver here: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('browser')}"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options, Service(driver))
    opened.get("about:blank")
    opened.get_log("performance")  # of the browser's own first page
    yield opened
    opened.quit()


@contextmanager
def screen(browser, size: dict) -> Iterator[None]:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def sections(pages) -> list[str]:
    return [name for name in pages if name.split("/")[0] in ("learning", "tensors", "training")]


def some(pages) -> list[str]:
    """All sections, and pages of each other kind."""
    ops = [f"ops/{name}.html" for name in ("index", "softmax.softmax", "activation.gelu", "view.flip")]
    return [*sections(pages), "index.html", *ops, *(f"api/{n}.html" for n in ("index", "octavo", "octavo.nn.layers"))]


def test_there_is_a_page_for_each_op(pages):
    from octavo.kernels import registry

    ops = {f"ops/{op.family}.{op.name}.html" for op in registry.values() if op.backward_of is None}
    assert ops == {name for name in pages if name.startswith("ops/")} - {"ops/index.html"}


def test_links_lead_somewhere(pages):
    wrong = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(urljoin(f"http://here/{name}", link))
            if parts.netloc != "here":
                continue
            path = unquote(parts.path).lstrip("/") or "index.html"
            anchors = pages[path].ids if path in pages else set()
            if not (SITE / path).is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                wrong.append(f"{name}: {link}")
    assert wrong == []


def test_nothing_comes_from_elsewhere(pages):
    assert [f"{name}: {load}" for name, page in pages.items() for load in page.loads if urlsplit(load).netloc] == []


def test_formulas_are_drawn(pages):
    for name, page in pages.items():
        assert not [mark for mark in ("$$", "\\(", "\\[") if mark in page.text], name
        assert "merror" not in page.tags, name
    assert any("math" in pages[name].tags for name in sections(pages))


WHOLE = """
const wide = document.scrollingElement.scrollWidth - innerWidth
const pictures = [...document.querySelectorAll(".md-content img")].filter(i => !(i.complete && i.naturalWidth > 0))
const small = [...document.querySelectorAll(".md-content :is(p, li, td, th, dd, dt, figcaption)")].filter(
    e => e.innerText && e.offsetWidth && parseFloat(getComputedStyle(e).fontSize) < 14)
const flat = [...document.querySelectorAll("math")].filter(m => m.checkVisibility()
    && !(m.getBoundingClientRect().width > 0 && m.getBoundingClientRect().height > 0))
return {wide: Math.max(0, wide), pictures: pictures.map(i => i.src), small: small.map(e => e.innerText),
    flat: flat.map(m => m.textContent)}
"""


def test_every_page_loads_and_fits_a_phone(pages, host, browser):
    wrong = []
    with screen(browser, PHONE):
        for name in pages:
            browser.get(host + name)
            if found := {key: value for key, value in browser.execute_script(WHOLE).items() if value}:
                wrong.append(f"{name}: {found}")
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = [m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"]
    wrong += [url for url in addresses if not url.startswith((host, "data:", "blob:"))]
    wrong += [entry["message"] for entry in browser.get_log("browser") if entry["level"] != "INFO"]
    assert wrong == [] and len(addresses) > len(pages)


LIGHTS = """
const parse = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1] }
const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1)
const ground = e => {
    const layers = []
    for (; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor))
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1])
}
const light = c => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => {
    const v = c[i] / 255
    return sum + w * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
}, 0)
const contrast = e => {
    const below = ground(e), [a, b] = [light(over(parse(getComputedStyle(e).color), below)), light(below)]
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
}
const read = [...document.querySelectorAll(".md-content :is(p, li, td, th, dd, dt, figcaption, h1, h2, h3, a, code)")]
const shown = read.filter(e => e.innerText.trim() && e.checkVisibility() && !e.matches(".headerlink"))
return {
    ground: light(ground(document.body)),
    faint: shown.filter(e => contrast(e) < 4.5).map(e => `${contrast(e).toFixed(2)} ${e.tagName} ${e.innerText}`),
    pictures: [...document.querySelectorAll(".md-content img")].filter(i => i.checkVisibility()).map(i => i.src),
}
"""


def test_both_colour_schemes(pages, host, browser):
    with screen(browser, DESKTOP):
        grounds = {}
        for number, scheme in enumerate(("light", "dark")):
            browser.get(host)
            if number:
                browser.find_element("css selector", "label[title=Dark]").click()
            for name in some(pages):
                browser.get(host + name)
                found = browser.execute_script(LIGHTS)
                grounds.setdefault(scheme, set()).add(found["ground"])
                assert found["faint"] == [], f"{name}, {scheme}"
                assert all(source.endswith(f"-{scheme}.svg#only-{scheme}") for source in found["pictures"]), name
                assert bool(found["pictures"]) == ("figure" in pages[name].tags), name
    assert min(grounds["light"]) > 0.8 and max(grounds["dark"]) < 0.1


def test_pages_opened_from_a_folder_can_be_searched(pages, browser):
    from selenium.webdriver.support.ui import WebDriverWait

    with screen(browser, DESKTOP):
        browser.get((SITE / "index.html").as_uri())
        browser.find_element("css selector", "input.md-search__input").send_keys("softmax")
        found = WebDriverWait(browser, 60).until(
            lambda b: [a.get_attribute("href") for a in b.find_elements("css selector", "a.md-search-result__link")]
        )
    assert any("ops/softmax.softmax.html" in link for link in found)


def test_elsewhere_the_command_says_what_it_needs(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from octavo.book import __main__ as book

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(book, "ROOT", tmp_path)
    told = CliRunner().invoke(book.main, [])
    assert told.exit_code == 1 and told.stderr.startswith("Error: the ops are timed by bench/")
    assert not [*tmp_path.iterdir()]
