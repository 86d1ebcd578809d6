"""The pages of the documentation: their form, their links, and the files that they name."""

import json
import re

import pytest

from docs.markdown import ALL, MANUAL, anchors, blocks, code, headings, links, name, prose, section
from docs.sessions import BUILDS, DOWNLOADS, NEEDS_ACCOUNT
from support.repository import ROOT

README = ROOT / "README.md"
INDEX = ROOT / "docs" / "README.md"
PAGES = [page for page in MANUAL if page not in (README, INDEX)]
# What `make` and the examples create, and what no checkout has therefore.
GENERATED = ("dist/", "target/", ".venv/")
# Names of files that are in the repository, as opposed to those of a reader's own, such as scan.json.
SOURCE = re.compile(r"[\w./-]+\.(rs|py|ya?ml|toml|md|hbs)")


def files():
    """Every file of the repository, by its path."""
    skipped = {".git", ".venv", "target", "dist", "__pycache__"}
    pending, found = [ROOT], set()
    while pending:
        for path in pending.pop().iterdir():
            if path.is_dir() and path.name not in skipped:
                pending.append(path)
            elif path.is_file():
                found.add(name(path))
    return found


FILES = files()
FOLDERS = {path.split("/")[0] for path in FILES if "/" in path}


def is_path(text):
    """Whether a text in backticks names a file or folder of the repository."""
    if not re.fullmatch(r"[\w.*/-]+", text) or text.startswith(GENERATED) or "NAME" in text:
        return False
    is_folder = re.fullmatch(r"[a-z._-]+/", text)
    return bool(SOURCE.fullmatch(text) or is_folder or ("/" in text and text.split("/")[0] in FOLDERS))


def is_there(text):
    """Whether the repository has a file of this path, or of a path that ends in it."""
    if "*" in text or text.endswith("/"):
        return any(ROOT.glob(text)) or any(f"/{text}" in f"/{path}" for path in FILES)
    known = text in FILES or (ROOT / text).is_dir()
    return known or any(path.endswith(f"/{text}") for path in FILES)


@pytest.mark.parametrize("page", ALL, ids=name)
def test_links_lead_somewhere(page):
    broken = []
    for target in links(page):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", ALL, ids=name)
def test_files_that_are_named_exist(page):
    named = [text for line in prose(page) for text in code(line) if is_path(text)]
    assert [text for text in named if not is_there(text)] == []


def test_the_check_of_file_names_is_shown_to_fail():
    wrong = ["cloudformation/rules.yaml", "no_such.rs", "benches/", "src/rule/verdicts"]
    right = ["cloudformation/rule.yaml", "rule.yaml", "ssm-documents/", "cloudformation/*.yaml"]
    others = ["dist/", "scan.json", "HttpTokens", "imdsv2-config-rule/bootstrap.zip", "src/sources/NAME.rs"]
    assert list(filter(is_path, wrong + right + others)) == wrong + right
    assert list(filter(is_there, wrong + right)) == right


def test_the_readme_is_a_door():
    assert len(README.read_text().splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_says_what_it_is_for_and_how_to_verify(page):
    lines = page.read_text().splitlines()
    assert [lines[0][:2], lines[1], lines[2][:14]] == ["# ", "", "Use this page "]
    assert headings(page)[-1] == (2, "Verify")
    *_, last = [text for text in "\n".join(section(page, "Verify")).split("\n\n") if text.strip()]
    assert re.match(r"\s*Next: .*\]\(", last, re.DOTALL), last


def test_the_index_has_every_page():
    names = {page.name for page in PAGES}
    assert names <= set(links(INDEX))
    assert {f"docs/{each}" for each in names} <= set(links(README))


@pytest.mark.parametrize("page", MANUAL, ids=name)
def test_each_block_says_what_it_needs(page):
    """A command is run by a test (console), or says why not (sh)."""
    for block in blocks(page):
        where = f"line {block.line}"
        assert block.language in ("console", "hcl", "json", "sh", "text", "typescript", "yaml", ""), where
        if block.language == "sh":
            assert block.lines[0] in (NEEDS_ACCOUNT, BUILDS, DOWNLOADS), where
        if block.language == "json":
            json.loads(block.text)
        if block.language == "":
            assert not re.search(r"^(\$ |aws |cargo |imdsv2 |make )", block.text, re.MULTILINE), where
