"""The operations that a suite of tests observed, in target/calls/, a file for each caller."""

from contextlib import contextmanager

from support.repository import CALLS


@contextmanager
def recording(session, folder, operations):
    """Writes `operations`, sets by the name of their caller, if all tests of `folder` ran and passed."""
    failed_before = session.testsfailed
    yield
    selected = session.config.option.keyword or any("::" in argument for argument in session.config.args)
    complete = {item.path for item in session.items} >= set(folder.glob("test_*.py"))
    if complete and not selected and session.testsfailed == failed_before:
        CALLS.mkdir(parents=True, exist_ok=True)
        for caller, called in operations.items():
            (CALLS / f"{caller}.txt").write_text("".join(f"{each}\n" for each in sorted(called)))
