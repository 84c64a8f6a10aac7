"""Views: tables, progress and messages of the commands, on a terminal or as plain lines."""
