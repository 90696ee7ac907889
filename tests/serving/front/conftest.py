import pytest

from tests.serving.front.service import FakeService


@pytest.fixture
def service() -> FakeService:
    return FakeService()
