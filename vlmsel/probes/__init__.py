"""Computation of each kind of measurement: a loaded model and a batch in, rows out. Torch.

    batch             images with one shared forward pass, and the class embeddings of their task
    protocol          the call that every probe offers, and the rows that it gives
    profile_probe, prediction_probe, embedding_probe, knockout_probe, text_probe
    silenced_layers   every layer of a tower silenced in turn, the work before it done once
    probe_registry    kind -> probe; one line adds one of your own

Probes know measurements; no measurement knows a probe.
"""
