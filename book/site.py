"""The pages of the book, of the ops and of the API, from what programs have found and measured."""

import logging
import shutil
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort
from mkdocs.plugins import BasePlugin
from mkdocs.structure.nav import Navigation
from tqdm import tqdm

from . import CHAPTERS
from .api_pages import api_pages, copy_package
from .op_pages import op_pages
from .pages import chapter_page, section_page
from .speeds import Speeds

__all__ = ["make_site"]

BOOK = Path(__file__).parent


def make_site(out: Path) -> Path:
    """Makes `site` of `found` in a folder; returns its first page.

    Raises:
        ValueError: a text asks for what its program has not found or leaves something out; MkDocs warns of something.
    """
    docs = out / "docs"
    shutil.rmtree(docs, ignore_errors=True)
    docs.mkdir(parents=True)
    nav: list[Any] = [{"Start": "index.md"}, *(_chapter(chapter, out / "found", docs) for chapter in CHAPTERS)]
    nav += [{"Ops": op_pages(docs / "ops", Speeds(out / "found" / "speeds"))}, {"API": api_pages(docs / "api")}]
    for name in ("index.md", "style.css", "iframe-worker.js"):
        shutil.copy(BOOK / name, docs)
    site = out / "site"
    folders = {"docs_dir": str(docs.absolute()), "site_dir": str(site.absolute())}
    config = load_config(str(BOOK / "mkdocs.yml"), nav=nav, **folders)
    config.plugins["octavo/shown"] = shown = _Shown()
    complaints = _Complaints()
    logging.getLogger("mkdocs").addHandler(complaints)
    try:
        with shown.bar, TemporaryDirectory() as sources:
            copy_package(Path(sources))
            config.plugins["mkdocstrings"].config["handlers"]["python"]["paths"] = [sources]
            build(config)
    except Abort:
        raise ValueError(f"MkDocs: {'; '.join(complaints.said)}") from None
    finally:
        logging.getLogger("mkdocs").removeHandler(complaints)
    return site / "index.html"


def _chapter(chapter: str, found: Path, docs: Path) -> dict[str, list[Any]]:
    """Writes the pages of a chapter; returns them for the navigation."""
    folder = docs / chapter
    folder.mkdir()
    sections = import_module(f"{__package__}.{chapter}").SECTIONS
    titles = {name: section_page(chapter, name, found / chapter / name, folder) for name in sections}
    title = chapter_page(chapter, titles, folder)
    return {title: [f"{chapter}/index.md", *({words: f"{chapter}/{name}.md"} for name, words in titles.items())]}


class _Shown(BasePlugin):
    """Progress: each page is read, then written."""

    def __init__(self) -> None:
        self.bar = tqdm(desc="pages", disable=None)

    def on_nav(self, nav: Navigation, **_: Any) -> None:
        self.bar.reset(total=2 * len(nav.pages))

    def on_page_content(self, html: str, **_: Any) -> None:
        self.bar.update()

    def on_post_page(self, output: str, **_: Any) -> None:
        self.bar.update()


class _Complaints(logging.Handler):
    """What MkDocs warns of, which is what makes it give up."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
