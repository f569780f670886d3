"""Inside a web framework: a run's text as the body of an answer, under uvicorn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from aiodashassist import DashScope, Run, tool
from aiodashassist.core.models import TERMINAL


@tool
async def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"{city} 晴"


class Service:
    """A web service that answers a question with a run's text, as it comes."""

    def __init__(self, client: DashScope, assistant_id: str) -> None:
        self.runs: list[Run] = []
        self._client = client
        self._assistant_id = assistant_id

    async def answer(self, request: Request) -> Response:
        """The endpoint."""
        question = (await request.body()).decode()
        return StreamingResponse(self._text(question), media_type="text/plain; charset=utf-8")

    async def _text(self, question: str) -> AsyncIterator[str]:
        async with self._client.stream(
            question, assistant_id=self._assistant_id, tools=[get_weather]
        ) as stream:
            async for text in stream.text_stream:
                if not self.runs:
                    assert stream.snapshot.run is not None
                    self.runs.append(stream.snapshot.run)
                yield text


@pytest.fixture
async def service(client: DashScope, assistant_id: str) -> Service:
    """The service, on the local server's client."""
    return Service(client, assistant_id)


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[str]:
    """The service under uvicorn; its URL."""
    app = Starlette(routes=[Route("/", service.answer, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        await task


async def test_a_run_with_tools_is_the_body_of_an_answer(service: Service) -> None:
    """The framework iterates `text_stream` over a tool round, to the last character."""
    question = '/call get_weather {"city": "杭州"}\n/then\n/say 天气很好，去走走吧😀'
    async with (
        running(service) as url,
        aiohttp.ClientSession() as http,
        http.post(url, data=question.encode()) as answer,
    ):
        assert await answer.text() == "天气很好，去走走吧😀"


async def test_a_browser_that_leaves_cancels_the_run(client: DashScope, service: Service) -> None:
    """Closing the browser's side ends the stream there, and the run at the service."""
    async with running(service) as url:
        async with aiohttp.ClientSession() as http:
            answer = await http.post(url, data=b"/say begun\n/wait 30")
            assert (await answer.content.readany()).decode().startswith("begu")
            answer.close()
        run = service.runs[0]
        async with asyncio.timeout(10):
            while run.status not in TERMINAL:
                await asyncio.sleep(0.01)
                run = await client.threads.runs.retrieve(run.thread_id or "", run.id)

    assert run.status == "cancelled"
