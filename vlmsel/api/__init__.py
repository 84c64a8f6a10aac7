"""Calls of the command line and of other programs: catalogs and a store in, rankings out.

One verb per module (`measure`, `select`, `label`, `evaluate`, `refresh`, `export`); beside them
`workspace` (what is current in a store), `laboratory` (leave-one-out on what is known), `ranking`
(a zoo ranked for known profiles), `image_selection` (the same for a folder of images), `answer`
(with class names and labels), `report_inputs` (the report of each).
"""
