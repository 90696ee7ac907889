from pathlib import Path

import onnx
import pytest
import torch

from snnet.errors import ExportError
from snnet.export.bundle import Bundle, Quantization, run_session, write_bundle
from snnet.network import SNNet
from tests.bundles import STITCHES


@pytest.mark.parametrize("mode", [pytest.param("dynamic", marks=pytest.mark.slow), "static"])
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
    session = quantized.session("1:0-2")
    assert session.get_modelmeta().custom_metadata_map["snnet.stitch"] == "1:0-2"
    result = run_session(session, images)
    assert 0 < (result - expected).abs().max() < 0.2 * expected.abs().max()
    row = quantized.table["1:0-2"]
    assert row.top1_float == 100
    assert row.top1 == 100 * float((result.argmax(dim=1) == labels).float().mean())
    assert row.macs == 11 and quantized.manifest.quantization is not None
    # The blocks that it shares with the anchors are the same bytes of the file.
    names = [_stored(quantized, stitch) for stitch in STITCHES]
    assert names[2] & names[0] and names[2] & names[1]


def _stored(bundle: Bundle, stitch: str) -> set[str]:
    tensors = onnx.load(str(bundle.graph(stitch)), load_external_data=False).graph.initializer
    return {str(sorted((entry.key, entry.value) for entry in t.external_data)) for t in tensors if t.external_data}


def test_what_cannot_be() -> None:
    with pytest.raises(ExportError, match="There is no quantization 'int4'"):
        Quantization("int4")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match="measures activations on images, and there are none"):
        Quantization("static")
