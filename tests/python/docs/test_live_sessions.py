"""Each console session that needs an AWS account prints what the page says, on a stand-in for one."""

import os

import pytest

from docs.live_sessions import play
from docs.sessions import REWRITE, ids, matches, rewrite, sessions, steps


@pytest.mark.parametrize("session", sessions(needs_account=True), ids=ids)
def test_a_session_prints_what_the_page_says(session, cloud, tmp_path):
    page, block = session
    printed = play(cloud, block, tmp_path)
    if REWRITE in os.environ:
        rewrite(page, block, printed)
        return
    for step, lines in zip(steps(block), printed, strict=True):
        assert matches(step.expected, lines), f"line {step.line}: {step.command}\n" + "\n".join(lines)
