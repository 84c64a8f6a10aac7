"""What the command line and other programs call: catalogs and a store in, rankings out.

`workspace` says what is current in a store, `evaluating` gathers what is known and runs the
leave-one-out laboratory, `ranking` ranks a zoo for known profiles, `selecting` does so for a folder
of images, `reporting` makes the report of either.
"""
