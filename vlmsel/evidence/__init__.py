"""Known rows, read without planning: catalogs -> wanted cells -> frames. Changes nothing.

    catalog_contents  a zoo and tasks, read once: which models and images there are
    wanted_cells      cells that the catalogs ask for; the plans of `execution` start from them, too
    evidence          rows that a store holds of these cells, each file read once
    accuracies        predictions joined with labels; published tables beside them
    failure           a cell or file that could not be measured or used, as a value

A corrupt file is named, left where it is and passed over; only measuring commands and
`status --verify` move it.
"""
