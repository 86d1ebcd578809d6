"""Runs a test that takes `template` once for each file in cloudformation/."""

from support.templates import templates


def pytest_generate_tests(metafunc):
    if "template" in metafunc.fixturenames:
        found = templates()
        metafunc.parametrize("template", found.values(), ids=found.keys())
