"""Commands: one file per command; each parses, calls `vlmsel.api` and shows the result."""
