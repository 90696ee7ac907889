import pytest

from tests.serving.front.service import FakeService


@pytest.fixture(scope="module")
def lasting() -> FakeService:
    """The service of all tests of a file, which a server may hold on to."""
    return FakeService()


@pytest.fixture
def service(lasting: FakeService) -> FakeService:
    """The same, as new."""
    lasting.__init__()  # type: ignore[misc]
    return lasting
