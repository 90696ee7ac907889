import pytest
import torch

from snnet.init.rows import mirrored, product_over_rows, upper_gram


@pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 16, 33])
def test_gram_is_computed_once_per_pair(width: int) -> None:
    channels = torch.randn(width, 50, dtype=torch.float64)
    torch.testing.assert_close(mirrored(upper_gram(channels)), channels @ channels.T)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_product_over_rows(dtype: torch.dtype) -> None:
    a, b = torch.randn(96, 200, dtype=dtype), torch.randn(130, 200, dtype=dtype)
    torch.testing.assert_close(product_over_rows(a, b), a @ b.T, rtol=1e-5, atol=1e-4)
