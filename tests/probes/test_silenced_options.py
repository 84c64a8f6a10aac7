"""Rows of silenced layers of a generative model, without a model."""

import torch

from vlmsel.probes.silenced_options import _answers
from vlmsel.settings import NO_OPTION


def test_options_that_a_question_does_not_have_stay_so():
    scores = torch.tensor([[-40.0, -41.0, NO_OPTION], [-40.0, -41.0, -42.0]])
    log_p = _answers(scores, None).log_probabilities
    assert log_p[0, 2] == NO_OPTION
    torch.testing.assert_close(log_p[0, :2], scores[0, :2].log_softmax(dim=0))
    torch.testing.assert_close(log_p[1], scores[1].log_softmax(dim=0))
