"""README.md and docs/: links, commands, sessions, and the facts that they take from the code and the templates."""
