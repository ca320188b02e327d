"""A model for agents that have no account: it takes the first step of the story, then what the replies say comes next.

It answers in the streams of the four APIs by which agents reach their models, in as few words as they take.
"""

import contextlib
import http.server
import json
import re
import threading
import time

import story

MOST_CALLS = 30
# Between two calls: a job takes its time, in the simulator, too.
PAUSE = 0.5
USAGE = {"input_tokens": 1, "output_tokens": 1}


class Gemini:
    """https://ai.google.dev/api/generate-content, streamGenerateContent"""

    path = re.compile(r":streamGenerateContent")

    @staticmethod
    def tools(request):
        return {tool["name"]: tool["parametersJsonSchema"] for group in request.get("tools", []) for tool in group.get("functionDeclarations", [])}

    @staticmethod
    def replies(request):
        parts = [part for content in request["contents"] for part in content["parts"]]
        return ["\n".join(map(str, part["functionResponse"]["response"].values())) for part in parts if "functionResponse" in part]

    @staticmethod
    def events(call, _number):
        part = {"functionCall": {"name": call[0], "args": call[1]}} if call else {"text": "Done."}
        yield {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}], "usageMetadata": {"totalTokenCount": 2}}


class Anthropic:
    """https://docs.claude.com/en/api/messages-streaming"""

    path = re.compile(r"/v1/messages(\?|$)")

    @staticmethod
    def tools(request):
        return {tool["name"]: tool.get("input_schema") for tool in request.get("tools", [])}

    @staticmethod
    def replies(request):
        contents = [message["content"] for message in request["messages"] if isinstance(message["content"], list)]
        return [text_of(block["content"]) for content in contents for block in content if block["type"] == "tool_result"]

    @staticmethod
    def events(call, number):
        message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "scripted", "content": [], "usage": USAGE}
        block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": "Done."}
        if call:
            block = {"type": "tool_use", "id": f"toolu_{number}", "name": call[0], "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(call[1])}
        yield {"type": "message_start", "message": message}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        yield {"type": "message_delta", "delta": {"stop_reason": "tool_use" if call else "end_turn"}, "usage": USAGE}
        yield {"type": "message_stop"}


class Responses:
    """https://platform.openai.com/docs/api-reference/responses-streaming"""

    path = re.compile(r"/v1/responses$")

    @staticmethod
    def tools(request):
        plain = {tool["name"]: tool.get("parameters") for tool in request["tools"] if "name" in tool}
        spaces = [tool for tool in request["tools"] if tool["type"] == "namespace"]
        return plain | {f"{space['name']}/{tool['name']}": tool["parameters"] for space in spaces for tool in space["tools"]}

    @staticmethod
    def replies(request):
        return [text_of(item["output"]) for item in request["input"] if item.get("type") == "function_call_output"]

    @staticmethod
    def events(call, number):
        item = {"type": "message", "role": "assistant", "id": f"msg_{number}", "content": [{"type": "output_text", "text": "Done."}]}
        if call:
            space, _, name = call[0].rpartition("/")
            item = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": name, "arguments": json.dumps(call[1])}
            item |= {"namespace": space} if space else {}
        yield {"type": "response.created", "response": {"id": f"resp_{number}"}}
        yield {"type": "response.output_item.done", "item": item}
        yield {"type": "response.completed", "response": {"id": f"resp_{number}", "usage": {**USAGE, "total_tokens": 2}}}


class ChatCompletions:
    """https://platform.openai.com/docs/api-reference/chat-streaming"""

    path = re.compile(r"/v1/chat/completions$")

    @staticmethod
    def tools(request):
        return {tool["function"]["name"]: tool["function"]["parameters"] for tool in request.get("tools", [])}

    @staticmethod
    def replies(request):
        return [text_of(message["content"]) for message in request["messages"] if message["role"] == "tool"]

    @staticmethod
    def events(call, number):
        delta, reason = {"role": "assistant", "content": "Done."}, "stop"
        if call:
            function = {"name": call[0], "arguments": json.dumps(call[1])}
            tool_call = {"index": 0, "id": f"call_{number}", "type": "function", "function": function}
            delta, reason = {"role": "assistant", "tool_calls": [tool_call]}, "tool_calls"
        for delta, reason in (delta, None), ({}, reason):
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            yield {"id": f"chat_{number}", "object": "chat.completion.chunk", "created": 1, "model": "scripted", "choices": [choice]}


DIALECTS = [Gemini, Anthropic, Responses, ChatCompletions]


def text_of(content):
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def phrase_of(reply):
    """What a reply says to do next: clients hand on the text of a result, or its structured content."""
    structured = re.search(r'"next":\s*(?=")', reply)
    if structured:
        return json.JSONDecoder().raw_decode(reply[structured.end():])[0]
    lines = re.findall(r"^(?:next|hint): (.*)", reply, re.MULTILINE)
    return lines[-1] if lines else ""


def next_call(reply, last):
    """The call that a reply names; None if there is none to make."""
    phrase = phrase_of(reply)
    if phrase.startswith("done"):
        return None
    named = re.search(rf"({'|'.join(story.TOOLS)}) (?={{)", phrase)
    if named:
        return named.group(1), json.JSONDecoder().raw_decode(phrase[named.end():])[0]
    changed = re.search(r'the same call with ("\w+": "[^"]+")', phrase)
    return (last[0], {**last[1], **json.loads(f"{{{changed.group(1)}}}")}) if changed else None


class ScriptedModel:
    """What it was offered by its agent, what it called, and what it was told."""

    def __init__(self):
        self.offered, self.calls, self.replies = {}, [], []

    def turn(self, dialect, request):
        """The next call, under the name that the agent gives the tool."""
        names = {name: tool for name in dialect.tools(request) for tool in story.TOOLS if name.endswith(tool)}
        if not names:  # agents ask for the titles of conversations, too
            return None
        self.offered = {names[name]: schema for name, schema in dialect.tools(request).items() if name in names}
        self.replies = dialect.replies(request)
        if self.replies:
            time.sleep(PAUSE)
            call = next_call(self.replies[-1], self.calls[-1])
            if call and call[0] == "check_status":  # agents stop a model that makes the same call again and again
                call[1]["wait"] = True
        else:
            call = story.STEPS[0]["tool"], story.STEPS[0]["arguments"]
        if call is None or len(self.calls) == MOST_CALLS:
            return None
        self.calls.append(call)
        return next(name for name, tool in names.items() if tool == call[0]), call[1]


@contextlib.contextmanager
def serving(model):
    """The address under which the model is to be had."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # pylint: disable=invalid-name
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            dialect = next((dialect for dialect in DIALECTS if dialect.path.search(self.path)), None)
            self.send_response(200 if dialect else 404)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for event in dialect.events(model.turn(dialect, request), len(model.calls)) if dialect else []:
                name = f"event: {event['type']}\n" if "type" in event else ""
                self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
            if dialect is ChatCompletions:
                self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, *_):  # pylint: disable=arguments-differ
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
