"""Random initialization of a stitching layer, to compare with least squares."""

import torch
from torch import nn

from snnet.init.normal_equations import Solution


def kaiming_solution(in_features: int, out_features: int) -> Solution:
    """Draw normal weights of variance `1 / in_features` (He et al., for a linear map); the bias is zero."""
    weight = nn.init.kaiming_normal_(torch.empty(out_features, in_features), nonlinearity="linear")
    return Solution(weight.T, torch.zeros(out_features), 0)
