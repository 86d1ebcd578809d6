"""Each console session of the documentation prints what the page says."""

import os
import shlex
import tomllib

import pytest

from docs.markdown import blocks
from docs.sessions import REWRITE, ids, matches, rewrite, run, sessions, shorten, steps
from support.repository import ROOT


@pytest.mark.parametrize("session", sessions(needs_account=False), ids=ids)
def test_a_session_prints_what_the_page_says(session, tmp_path):
    page, block = session
    printed = [run(step.command, tmp_path) for step in steps(block)]
    if REWRITE in os.environ:
        rewrite(page, block, printed)
        return
    for step, lines in zip(steps(block), printed, strict=True):
        assert matches(step.expected, lines), f"line {step.line}: {step.command}\n" + "\n".join(lines)


def test_the_alias_is_what_the_sessions_take_it_for():
    alias = tomllib.loads((ROOT / ".cargo" / "config.toml").read_text())["alias"]["evaluate"]
    words = shlex.split(alias) if isinstance(alias, str) else alias
    assert [words[0], *words[-2:]] == ["run", "--", "evaluate"]
    assert {"--no-default-features", "--features", "offline"} <= set(words)


@pytest.mark.parametrize(
    ("expected", "printed", "fits"),
    [
        ("a ...", "a b c", True),
        ("a ... c", "a c", True),
        ("...", "", True),
        ("a ... c", "a", False),
        ("a ... c", "a b", False),
        ("a", "a b", False),
        ("a b", "a", False),
    ],
)
def test_dots_stand_for_any_lines(expected, printed, fits):
    assert matches(expected.split(), printed.split()) is fits


def test_what_is_rewritten_has_as_many_lines_around_the_dots():
    assert shorten(["a", "...", "z"], ["1", "2", "3"]) == ["1", "...", "3"]
    assert shorten(["a"], ["1", "2"]) == ["1", "2"]


def test_a_block_is_rewritten_where_it_is_now(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```console\n$ one\n```\n\n```console\n$ two\nold\n```\n\nEnd.\n")
    (first, second) = blocks(page)
    rewrite(page, first, [["a", "b"]])
    rewrite(page, second, [["new"]])
    assert page.read_text() == "```console\n$ one\na\nb\n```\n\n```console\n$ two\nnew\n```\n\nEnd.\n"
