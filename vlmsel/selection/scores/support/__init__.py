"""Parts that the scores share: checked labels, one decomposition of a model's features, folds."""
