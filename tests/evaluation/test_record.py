import torch
from torch import nn

from snnet.evaluation.record import network_digest


def test_the_digest_is_of_names_and_values_and_not_of_their_order():
    parts = {"a": torch.arange(3.0), "b": torch.ones(2)}
    digest = network_digest(nn.ParameterDict(parts))
    assert network_digest(nn.ParameterDict(dict(reversed(parts.items())))) == digest
    assert network_digest(nn.ParameterDict({"a": parts["a"] + 1, "b": parts["b"]})) != digest
    assert network_digest(nn.ParameterDict({"c": parts["a"], "b": parts["b"]})) != digest
