import pytest

from snnet.errors import SNNetError
from snnet.share import Share


@pytest.mark.parametrize(("total", "count"), [(8, 2), (7, 3), (2, 5), (0, 2), (1, 1)])
def test_shares_are_all_of_it_in_order_and_nearly_equal(total: int, count: int) -> None:
    parts = [range(total)[Share(rank, count).of(total)] for rank in range(count)]
    assert [place for part in parts for place in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(("rank", "count"), [(2, 2), (-1, 2), (0, 0)])
def test_a_share_that_does_not_exist(rank: int, count: int) -> None:
    with pytest.raises(SNNetError, match=f"There is no process {rank} of {count}"):
        Share(rank, count)
