"""A client made from the protocol's own definition, `open-inference-grpc`, and the real command.

The client runs in a process of its own: its messages have the names of those of `tritonclient`, which a process can
know but once.
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")
if find_spec("open_inference") is None:
    pytest.skip("the package open-inference-grpc is not installed", allow_module_level=True)
from snnet.network import SNNet
from tests.cli.test_serve import Server

CALLS = """
import json, sys
import grpc
import numpy as np
from open_inference.grpc import protocol as told
from open_inference.grpc.service import GRPCInferenceServiceStub

calls = GRPCInferenceServiceStub(grpc.insecure_channel(sys.argv[1]))
server = calls.ServerMetadata(told.ServerMetadataRequest())
model = calls.ModelMetadata(told.ModelMetadataRequest(name="net"))
found = {
    "live": calls.ServerLive(told.ServerLiveRequest()).live,
    "ready": calls.ServerReady(told.ServerReadyRequest()).ready,
    "model_ready": calls.ModelReady(told.ModelReadyRequest(name="net")).ready,
    "server": [server.name, server.version, list(server.extensions)],
    "model": [model.name, list(model.versions), model.platform],
    "tensors": [[one.name, one.datatype, list(one.shape)] for one in (*model.inputs, *model.outputs)],
}
images = np.full((2, 1, 28, 28), 0.5, np.float32)
for way in ("bytes", "numbers"):
    asked = told.ModelInferRequest(model_name="net", id=way)
    asked.parameters["deadline_ms"].int64_param = 30_000
    one = asked.inputs.add(name="images", datatype="FP32", shape=images.shape)
    if way == "bytes":
        asked.raw_input_contents.append(images.tobytes())
    else:
        one.contents.fp32_contents.extend(images.ravel().tolist())
    answer = calls.ModelInfer(asked)
    logits = np.frombuffer(answer.raw_output_contents[0], np.float32).tolist()
    stitch = answer.parameters["stitch"].string_param
    found[way] = [answer.id, answer.model_name, stitch, list(answer.outputs[0].shape), logits]
for wrong in (told.ModelInferRequest(model_name="large"), told.ModelInferRequest(model_name="net")):
    try:
        calls.ModelInfer(wrong)
    except grpc.RpcError as error:
        found[wrong.model_name] = error.code().name
print(json.dumps(found))
"""


@pytest.mark.slow
def test_it_reads_health_and_metadata_and_is_answered(small_net: SNNet, tmp_path: Path) -> None:
    small_net.save_pretrained(tmp_path / "net")
    server = Server(str(tmp_path / "net"), "--max-batch", "2", "--slo-ms", "30000", "--grpc-port", "0")
    command = [sys.executable, "-c", CALLS, server.addresses["grpc"]]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["live"] and found["ready"] and found["model_ready"]
    assert found["server"][0] == "snnet" and found["server"][2] == ["binary_tensor_data"]
    assert found["model"] == ["net", ["1"], "snnet"]
    assert found["tensors"] == [["images", "FP32", [-1, 1, 28, 28]], ["logits", "FP32", [-1, 10]]]
    for way in ("bytes", "numbers"):
        id, name, stitch, shape, logits = found[way]
        assert (id, name, shape) == (way, "net", [2, 10]) and stitch in map(str, small_net.space)
        assert np.isfinite(logits).all() and logits[:10] == pytest.approx(logits[10:])
    assert found["bytes"] == ["bytes", *found["numbers"][1:]]
    assert found["large"] == "NOT_FOUND" and found["net"] == "INVALID_ARGUMENT"
    assert server.end()[0] == 0
