"""Command line: `commands` call `vlmsel.api`, `views` show what came of it, `app` joins them."""

from vlmsel.cli.app import main, run

__all__ = ["main", "run"]
