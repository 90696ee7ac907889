"""A network of EfficientNets; what all families share is in test_families.py."""

import torch

import snnet


def test_two_efficientnets_make_one_network() -> None:
    overlay = {"pretrained_cfg_overlay": {"input_size": (3, 64, 64)}}
    sources = [snnet.AnchorSource.of(name, num_classes=3, **overlay) for name in ("efficientnet_b0", "efficientnet_b1")]
    net = snnet.stitch(*sources).eval()
    assert net.space.depths == ((1, 2, 2, 3, 3, 4, 1), (2, 3, 3, 4, 4, 5, 2))
    with torch.no_grad():
        for stitch in net.space:
            assert net(torch.randn(1, 3, 64, 64), stitch).isfinite().all()
