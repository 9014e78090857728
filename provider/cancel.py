"""Work of a call that ends as soon as the user, or the end of the engine, cancels it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from components.ssh import SshError
from provider.handler import Cancelled, ProviderError, Request

T = TypeVar("T")
_CANCEL_SECONDS = 0.25


def run_cancellable(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in this thread until it ends; raise Cancelled at once when the request is cancelled.

    A node that cannot be reached ends the call like any other error of ours.
    """

    async def guard() -> T:
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
            if request.cancelled.is_set() and not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1)
                raise Cancelled
        return task.result()

    try:
        return asyncio.run(guard())
    except SshError as error:
        raise ProviderError(str(error)) from error
