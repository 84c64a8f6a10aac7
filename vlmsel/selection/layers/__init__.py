"""Layers that interfere: what silencing one does to a task, and whether to leave it silent.

    knockout_answers    right and wrong of a model and its knockouts on labelled images
    changes             statistics of items gained and lost: mid-p, Agresti-Min
    vectors             Task-Layer Interaction Vectors with intervals
    likeness            tasks compared by their vectors: raw and centred correlation, clusters
    rules               which layer to silence: published, confirm, significant, evidence
    adaptation          a rule with its honest gain: cross-fit, held-out half, resamples, fallback
    published_protocol  the published protocol: pool, probe, redraws, evaluation set

Arrays and frames in, values out; no torch. The paper, what of it could be read, and what was
measured here: docs/guide/layers.md.
"""
