"""What is known, read without planning: catalogs -> wanted cells -> frames. Changes nothing.

    catalogued    look at a zoo and tasks once: who the models are, which images there are
    wanted        which cells the catalogs ask for; the planner of `execution` starts from them, too
    evidence      what a store holds of these cells, each file read once
    accuracies    predictions joined with labels; published tables beside them
    failure       what could not be measured or used, as a value

A corrupt file is named, left where it is and passed over; only measuring commands and
`status --verify` move it.
"""
