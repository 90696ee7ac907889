import pytest

from snnet.errors import DataError
from snnet.share import Share


@pytest.mark.parametrize(("total", "count"), [(8, 2), (7, 3), (2, 5), (0, 2), (1, 1)])
def test_shares_are_all_of_it_in_order_and_nearly_equal(total: int, count: int) -> None:
    bounds = [Share(rank, count).bounds(total) for rank in range(count)]
    assert [place for first, last in bounds for place in range(first, last)] == list(range(total))
    sizes = [last - first for first, last in bounds]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("rank", "count"), [(2, 2), (-1, 2), (0, 0)])
def test_a_share_that_does_not_exist(rank: int, count: int) -> None:
    with pytest.raises(DataError, match=f"Share {rank} of {count} does not exist"):
        Share(rank, count)
