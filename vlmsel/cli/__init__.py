"""The command line: one file a command; each parses, calls `vlmsel.api` and says what it did."""

from vlmsel.cli.app import main, run

__all__ = ["main", "run"]
