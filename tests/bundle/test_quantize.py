from pathlib import Path

import pytest
import torch

from snnet.bundle import Bundle, Quantization, write_bundle
from snnet.bundle.graphs import run_session
from snnet.errors import ExportError
from snnet.network import SNNet
from tests.bundle.conftest import STITCHES


@pytest.mark.parametrize("mode", ["dynamic", "static"])
def test_quantized_weights_are_shared_small_and_right(
    small_net: SNNet, bundle: Bundle, tmp_path: Path, mode: str
) -> None:
    images = torch.randn(16, *small_net.input.size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        labels = small_net(images, "1:0-2").argmax(dim=1)
    quantized = write_bundle(
        small_net,
        tmp_path / "small",
        STITCHES,
        quantization=Quantization(mode, images),  # type: ignore[arg-type]
        scored_on=[(images[:9], labels[:9]), (images[9:], labels[9:])],
    )
    Bundle.open(quantized.path)
    assert quantized.weights.stat().st_size < 0.6 * bundle.weights.stat().st_size
    with torch.no_grad():
        expected = small_net(images, "1:0-2")
    result = run_session(quantized.session("1:0-2"), images)
    assert 0 < (result - expected).abs().max() < 0.2 * expected.abs().max()
    row = quantized.table["1:0-2"]
    assert row.top1_float == 100
    assert row.top1 == 100 * float((result.argmax(dim=1) == labels).float().mean())
    assert row.macs == 11 and quantized.manifest.quantization is not None
    # Quantized alone, the stitches take more room than together: what they share is one.
    alone = [_size(small_net, tmp_path / stitch.replace(":", "_"), stitch, mode, images) for stitch in STITCHES[:1]]
    assert quantized.weights.stat().st_size < alone[0] + bundle.weights.stat().st_size


def _size(net: SNNet, folder: Path, stitch: str, mode: str, images: torch.Tensor) -> int:
    written = write_bundle(net, folder, [stitch], quantization=Quantization(mode, images))  # type: ignore[arg-type]
    return written.weights.stat().st_size


def test_what_cannot_be() -> None:
    with pytest.raises(ExportError, match="There is no quantization 'int4'"):
        Quantization("int4")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match="measures activations on images, and there are none"):
        Quantization("static")
