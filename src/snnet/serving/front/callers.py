# Tested in tests/serving/front/test_app.py.
"""Callers that go away before they are answered: what they asked for is not to be run."""

import asyncio
from types import TracebackType

from starlette.requests import Request

from snnet.serving.front.faults import LeftError


class Caller:
    """A context within which the caller of a request is watched; once it goes away, what is awaited is cancelled.

    Args:
        request: Whose body has been read.

    Raises:
        LeftError: At the end, if the caller went away.
    """

    def __init__(self, request: Request) -> None:
        self._receive, self._left = request.receive, False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._watching = task, asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.cancel()
        # What else has cancelled the task goes on to do so.
        if self._left and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise LeftError("The caller went away before the answer.") from None
