"""The cloud of the session."""

from support.command_line import cloud  # noqa: F401
