"""The cloud of the live commands, for the sessions that need an account."""

from live.conftest import cloud  # noqa: F401
