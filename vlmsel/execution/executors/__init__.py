"""Executors: the same loop in this process, in child processes, or over Ray actors."""
