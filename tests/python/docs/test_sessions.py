"""Each console session of the documentation prints what the page says."""

import os
import shlex
import tomllib

import pytest

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
    assert words[0] == "run" and words[-2:] == ["--", "evaluate"]
    assert {"--no-default-features", "--features", "offline"} <= set(words)


def test_dots_stand_for_any_lines():
    assert matches(["a", "..."], ["a", "b", "c"]) and matches(["a", "...", "c"], ["a", "c"])
    assert not matches(["a", "...", "c"], ["a"]) and not matches(["a", "...", "c"], ["a", "b"])
    assert matches(["..."], []) and not matches(["a"], ["a", "b"]) and not matches(["a", "b"], ["a"])
    assert shorten(["a", "...", "z"], ["1", "2", "3"]) == ["1", "...", "3"]
