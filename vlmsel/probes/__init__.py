"""Computation of each kind of measurement: a loaded model and a batch in, rows out. Torch.

    batch             images with one shared forward pass, and the class embeddings of their task
    probe             what a probe is, and what it gives
    profile, prediction, embedding, knockout, text
    silenced_layers   every layer of a tower silenced in turn, the work before it done once
    registry          kind -> probe; one line adds one of your own

Probes know measurements; no measurement knows a probe.
"""
