"""What the command line and other programs call: catalogs and a store in, profiles, rankings and evaluations out.

``workspace`` says what is current in a store, ``selecting`` ranks a zoo for a folder of images,
``evaluating`` runs the leave-one-out laboratory, ``demo`` runs the embedded zoo end to end.
"""
