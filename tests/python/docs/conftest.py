"""The cloud of the live commands, for the sessions that need an account."""

from support.command_line import cloud  # noqa: F401
