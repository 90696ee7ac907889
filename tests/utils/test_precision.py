import subprocess
import sys

import pytest
import torch

from snnet.errors import RecipeError
from snnet.utils import check_precision, precision_of, torch_dtype


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_names_and_types_of_torch(name: str, dtype: torch.dtype) -> None:
    assert torch_dtype(name) is dtype
    assert precision_of(dtype) == precision_of(str(dtype).removeprefix("torch.")) == name
    check_precision(name, "cuda:1")


def test_a_type_without_a_short_name_keeps_its_own() -> None:
    assert precision_of(torch.float64) == "fp64" and torch_dtype("fp64") is torch.float64
    assert precision_of(torch.float8_e5m2) == "float8_e5m2"


@pytest.mark.parametrize("name", ["float32", "fp8", "", "FP32"])
def test_an_unknown_name_is_refused(name: str) -> None:
    for refuse in (torch_dtype, check_precision):
        with pytest.raises(RecipeError, match=f"'{name}' is unknown; accepted: fp32, bf16, fp16"):
            refuse(name)


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), torch.device("cpu", 0)])
def test_fp16_is_refused_on_a_cpu(device: str | torch.device) -> None:
    check_precision("bf16", device)
    with pytest.raises(RecipeError, match=r"fp16 needs a GPU.*use bf16 or fp32"):
        check_precision("fp16", device)


def test_names_alone_need_no_torch() -> None:
    code = "import sys; from snnet.utils import precision_of; assert precision_of('float16') == 'fp16'"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)
