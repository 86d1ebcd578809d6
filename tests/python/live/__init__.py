"""The commands `scan`, `remediate` and `restore` as processes, in two accounts on a moto server."""
