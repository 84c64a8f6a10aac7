"""Pictures of the demo tasks.

    label + random generator -> one module per look -> 32x32 RGB picture

`canvas` owns size, colour, font and noise; every other module draws one or two families of classes
and offers functions `(label, rng) -> Image`. Only `handwriting` starts from real pictures.
"""
