"""Work: the loop that hands units out, the worker that measures them, and the record of a run."""
