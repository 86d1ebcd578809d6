"""README.md and docs/: links, commands, console sessions, and facts that come from code and templates."""
