"""Runs a test with an argument `template` for each file in cloudformation/."""

from support.templates import templates


def pytest_generate_tests(metafunc):
    if "template" in metafunc.fixturenames:
        by_name = templates()
        metafunc.parametrize("template", by_name.values(), ids=by_name.keys())
