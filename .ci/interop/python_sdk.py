"""Drives the MCP server with the official Python SDK: every transport, both ways of talking.

    python python_sdk.py BINARY

Prints one line a check; exits with 1 if any failed.
"""

import asyncio
import contextlib
import pathlib
import sys

import jsonschema
import mcp
import mcp_types
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

import story

PATIENCE = 120


async def tell_story(session):
    """The whole way of a job; what the model would see is checked at each step."""
    tools = {tool.name: tool for tool in (await session.list_tools()).tools}
    assert list(tools) == story.TOOLS, list(tools)
    job, heard = None, []

    async def progress(value, _total, _message):
        heard.append(value)

    for step in story.STEPS:
        name, heard[:] = step["tool"], []
        result = await session.call_tool(name, story.arguments(step, job), progress_callback=progress)
        assert not result.is_error, result
        data = result.structured_content
        jsonschema.validate(data, tools[name].output_schema)
        story.check(name, data)
        assert result.content[0].text.splitlines()[-1] == f"next: {data['next']}", result.content
        job = data.get("job", job)
        if name == "check_status":
            assert heard and heard == sorted(set(heard)), heard
        if name == "get_results":
            assert result.content[1].uri.startswith("file://"), result.content
    again = await session.call_tool("create_batch", story.arguments(story.STEPS[1], job))
    assert (again.structured_content["submission"], again.structured_content["job"]) == ("found", job), again
    listed = (await session.call_tool("list_batches", {})).structured_content["jobs"]
    assert [entry["job"] for entry in listed] == [job], listed


async def make_mistakes(session):
    """What a model gets wrong is told to the model; what a client gets wrong, to the client."""
    for name, wrong, word in [
        ("build_jsonl", {"sauce": "planets.csv"}, "sauce"),
        ("build_jsonl", {"source": "nowhere.csv", "template": "{{ name }}"}, "nowhere.csv"),
        ("build_jsonl", {"source": "/etc/passwd", "template": "{{ name }}"}, "/etc/passwd"),
        ("check_status", {"jobs": ["no-such-job"]}, "no-such-job"),
        ("get_results", {}, "job"),
    ]:
        result = await session.call_tool(name, wrong)
        text = result.content[0].text
        assert result.is_error and word in text and "hint: " in text, (name, wrong, result)
    try:
        await session.call_tool("brew_coffee", {})
    except mcp.MCPError as error:
        assert error.error.code == -32602, error
    else:
        raise AssertionError("an unknown tool was called")


async def submit(session):
    """A job, made in two calls; the reply to the second."""
    build, create = story.STEPS[:2]
    await session.call_tool("build_jsonl", {**story.arguments(build, None), "overwrite": True})
    return await session.call_tool("create_batch", {"input": story.arguments(create, None)["input"]})


async def read_and_choose(session):
    """Everything beside the tools: resources, prompts, completion."""
    job = (await submit(session)).structured_content["job"]
    resources = [resource.uri for resource in (await session.list_resources()).resources]
    assert {"batch://jobs", "batch://models", f"batch://jobs/{job}/status"} <= set(resources), resources
    for uri in resources:
        content = (await session.read_resource(uri)).contents[0]
        assert content.uri == uri and content.text, content
    templates = (await session.list_resource_templates()).resource_templates
    assert all(template.uri_template.startswith("batch://jobs/{handle}/") for template in templates), templates
    try:
        await session.read_resource("batch://nothing")
    except mcp.MCPError as error:
        assert error.error.code in (-32002, -32602), error
    else:
        raise AssertionError("a resource that is not there was read")
    assert [prompt.name for prompt in (await session.list_prompts()).prompts] == story.PROMPTS
    prompt = await session.get_prompt("retry_failures", {"job": job})
    assert job in prompt.messages[0].content.text, prompt
    page = mcp_types.ResourceTemplateReference(type="ref/resource", uri=templates[-1].uri_template)
    for ref, name in [(page, "handle"), (mcp_types.PromptReference(type="ref/prompt", name="retry_failures"), "job")]:
        completion = (await session.complete(ref, {"name": name, "value": job[:3]})).completion
        assert completion.values == [job] and completion.total == 1 and not completion.has_more, completion


async def give_up(session):
    """A call that is given up ends; its job goes on."""
    job = (await submit(session)).structured_content["job"]
    waiting = asyncio.create_task(session.call_tool("check_status", {"jobs": [job], "wait": True}))
    await asyncio.sleep(0.3)
    waiting.cancel()
    state = (await session.call_tool("check_status", {"jobs": [job]})).structured_content["jobs"][0]["state"]
    assert state != "JOB_STATE_CANCELLED", state


async def be_asked(session):
    """What costs money is asked about, where the client can; a no sends nothing."""
    ANSWERS[:] = [mcp_types.ElicitResult(action="decline"), YES]
    declined = await submit(session)
    assert declined.is_error and "nothing was sent" in declined.content[0].text, declined
    created = await submit(session)
    assert created.structured_content["submission"] == "created" and not ANSWERS, created


async def be_told(session):
    """Who subscribed to the list of jobs is told of a new one."""
    UPDATED.clear()
    await session.subscribe_resource("batch://jobs")
    await submit(session)
    while "batch://jobs" not in UPDATED:
        await asyncio.sleep(0.1)


# What the user will say, else yes; and what was said to have changed.
YES = mcp_types.ElicitResult(action="accept", content={"pay": True})
ANSWERS, UPDATED = [], []


async def hear(message):
    if isinstance(message, mcp_types.ResourceUpdatedNotification):
        UPDATED.append(str(message.params.uri))


async def user(_context, params):
    fields = params.requested_schema["properties"]
    if "model" in fields:
        return mcp_types.ElicitResult(action="accept", content={"model": fields["model"]["default"]})
    assert "$" in params.message, params
    return ANSWERS.pop(0) if ANSWERS else YES


@contextlib.asynccontextmanager
async def classic(transport):
    async with transport as streams, mcp.ClientSession(streams[0], streams[1], elicitation_callback=user, message_handler=hear) as session:
        greeting = await session.initialize()
        assert greeting.server_info.name == "gemini-batch-mcp" and greeting.instructions, greeting
        yield session


@contextlib.asynccontextmanager
async def modern(target):
    async with mcp.Client(target, elicitation_callback=user) as client:
        yield client


def connections(binary, folder, env, address):
    """Each way to connect, by name."""
    stdio = mcp.StdioServerParameters(command=binary, args=["--simulate"], env=env, cwd=folder)
    return {
        "stdio, ClientSession": lambda: classic(stdio_client(stdio)),
        "stdio, Client": lambda: modern(stdio_client(stdio)),
        "/mcp, ClientSession": lambda: classic(streamable_http_client(f"{address}/mcp")),
        "/mcp, Client": lambda: modern(f"{address}/mcp"),
        "/sse, ClientSession": lambda: classic(sse_client(f"{address}/sse")),
        "/sse, Client": lambda: modern(sse_client(f"{address}/sse")),
    }


async def run_check(connect, check):
    async with asyncio.timeout(PATIENCE), connect() as session:
        await check(session)


def check_connection(binary, label, check):
    """In a folder of its own: what one check did, another must not find."""
    with story.stage() as (folder, env), story.http_server(binary, folder, env) as address:
        asyncio.run(run_check(connections(binary, folder, env, address)[label], check))


def run(binary):
    failed = 0
    for label in connections(binary, ".", {}, ""):
        checks = [tell_story, make_mistakes, read_and_choose, give_up, be_asked]
        # From 2026-07-28 on nobody subscribes within a session.
        for check in checks + [be_told] * label.endswith("ClientSession"):
            name = f"{label}: {check.__name__.replace('_', ' ')}"
            failed += story.report(name, lambda: check_connection(binary, label, check))
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(run(str(pathlib.Path(sys.argv[1]).resolve())))
