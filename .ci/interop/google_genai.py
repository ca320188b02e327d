"""Drives the simulator with Google's own SDK.

    python google_genai.py URL
    python google_genai.py -- COMMAND...

The command starts a simulator, prints its URL as the first line on stdout, and runs until it is
stopped: `gemini-batch-mcp simulate --port 0`. Prints one line a check; exits with 1 if any failed.
"""

import contextlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback

# This file has the name of a package of the SDK: look for imports elsewhere than beside it.
sys.path = [path for path in sys.path if pathlib.Path(path or ".").resolve() != pathlib.Path(__file__).resolve().parent]

from google import genai  # noqa: E402
from google.genai import errors, types  # noqa: E402

MODEL = "gemini-3.8-flash"
EMBEDDING_MODEL = "gemini-embedding-001"
PATIENCE = 60


def request(text, **config):
    line = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    return {**line, "generation_config": config} if config else line


def write_lines(folder, name, lines):
    path = pathlib.Path(folder) / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def wait(client, name):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        job = client.batches.get(name=name)
        if job.done:
            return job
        time.sleep(0.2)
    raise AssertionError(f"{name} is not done after {PATIENCE} s")


def results(client, job):
    content = client.files.download(file=job.dest.file_name)
    return {line["key"]: line for line in map(json.loads, content.decode().splitlines())}


def upload(client, path):
    config = types.UploadFileConfig(display_name=path.name, mime_type="application/jsonl")
    return client.files.upload(file=path, config=config)


def check_small_file(client, folder):
    path = write_lines(folder, "small.jsonl", [{"key": f"r-{n}", "request": request(f"Question {n}")} for n in range(5)])
    file = upload(client, path)
    assert file.size_bytes == path.stat().st_size, file
    assert file.state == types.FileState.ACTIVE and file.display_name == "small.jsonl", file
    assert client.files.get(name=file.name).sha256_hash == file.sha256_hash
    job = client.batches.create(model=MODEL, src=file.name, config={"display_name": "small"})
    assert job.state == types.JobState.JOB_STATE_PENDING, job
    job = wait(client, job.name)
    assert job.state == types.JobState.JOB_STATE_SUCCEEDED, job
    assert job.display_name == "small" and job.model == f"models/{MODEL}" and job.end_time, job
    answers = results(client, job)
    assert sorted(answers) == [f"r-{n}" for n in range(5)], answers
    for answer in answers.values():
        response = types.GenerateContentResponse.model_validate(answer["response"])
        assert response.text and response.usage_metadata.total_token_count, response
    client.files.delete(name=file.name)
    with contextlib.suppress(errors.ClientError):
        client.files.get(name=file.name)
        raise AssertionError("a deleted file is still there")


def check_large_file(client, folder):
    filler = "word " * 4000
    path = write_lines(folder, "large.jsonl", [{"key": f"r-{n}", "request": request(f"{n} {filler}")} for n in range(1000)])
    size = path.stat().st_size
    assert size > 2 * 8 * 1024 * 1024, size
    file = upload(client, path)
    assert file.size_bytes == size, file
    job = wait(client, client.batches.create(model=MODEL, src=file.name).name)
    assert len(results(client, job)) == 1000


def check_small_stream(client, _folder):
    lines = io.BytesIO(json.dumps({"key": "only", "request": request("Hi", max_output_tokens=3)}).encode())
    file = client.files.upload(file=lines, config={"mime_type": "text/plain", "name": f"files/own-{time.time_ns()}"})
    job = wait(client, client.batches.create(model=MODEL, src=file.name).name)
    candidate = results(client, job)["only"]["response"]["candidates"][0]
    assert candidate["finishReason"] == "MAX_TOKENS", candidate


def check_inline(client, _folder):
    requests = [
        types.InlinedRequest(
            contents=f"Question {n}",
            metadata={"key": f"r-{n}"},
            config=types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.2),
        )
        for n in range(4)
    ]
    requests.append(types.InlinedRequest(contents="[[simulate:failed]]", metadata={"key": "bad"}))
    job = client.batches.create(model=MODEL, src=requests, config={"display_name": "inline"})
    job = wait(client, job.name)
    answers = {answer.metadata["key"]: answer for answer in job.dest.inlined_responses}
    assert sorted(answers) == ["bad", "r-0", "r-1", "r-2", "r-3"], answers
    assert answers["bad"].error.code == 13 and answers["bad"].response is None
    assert all(answers[f"r-{n}"].response.text for n in range(4))


def check_inline_json(client, _folder):
    schema = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]}
    config = {"response_mime_type": "application/json", "response_schema": schema}
    contents = [{"parts": [{"text": "2+2"}], "role": "user"}]
    job = client.batches.create(model=MODEL, src=[{"contents": contents, "config": config}])
    answer = wait(client, job.name).dest.inlined_responses[0].response
    assert isinstance(json.loads(answer.text)["n"], int), answer.text


def check_list(client, _folder):
    names = [client.batches.create(model=MODEL, src=[{"contents": f"list {n}"}]).name for n in range(3)]
    listed = [job.name for job in client.batches.list(config={"page_size": 2})]
    assert listed[:3] == names[::-1], listed
    assert len(listed) == len(set(listed)), listed


def check_cancel_and_delete(client, _folder):
    job = client.batches.create(model=MODEL, src=[{"contents": "cancel me [[simulate:job-expired]]"}])
    client.batches.cancel(name=job.name)
    assert wait(client, job.name).state == types.JobState.JOB_STATE_CANCELLED
    client.batches.delete(name=job.name)
    try:
        client.batches.get(name=job.name)
    except errors.ClientError as error:
        assert error.code == 404, error
    else:
        raise AssertionError("a deleted batch is still there")


def check_bad_line(client, folder):
    file = upload(client, write_lines(folder, "bad.jsonl", [{"key": "r", "request": request("Hi", max_tokens=1)}]))
    try:
        client.batches.create(model=MODEL, src=file.name)
    except errors.ClientError as error:
        assert error.code == 400 and "no such field: 'max_tokens'" in error.message, error
    else:
        raise AssertionError("a bad line was accepted")


def check_embeddings_from_file(client, folder):
    body = {"content": {"parts": [{"text": "one"}]}, "output_dimensionality": 8}
    file = upload(client, write_lines(folder, "embed.jsonl", [{"key": f"e-{n}", "request": body} for n in range(3)]))
    job = client.batches.create_embeddings(model=EMBEDDING_MODEL, src={"file_name": file.name})
    answers = results(client, wait(client, job.name))
    assert sorted(answers) == ["e-0", "e-1", "e-2"], answers
    assert len(answers["e-0"]["response"]["embedding"]["values"]) == 8


def check_embeddings_inline(client, _folder):
    inlined = {"contents": ["one", "two"], "config": {"output_dimensionality": 16, "task_type": "CLUSTERING"}}
    job = client.batches.create_embeddings(model=EMBEDDING_MODEL, src={"inlined_requests": inlined})
    answers = wait(client, job.name).dest.inlined_embed_content_responses
    assert len(answers) == 2, answers
    assert all(len(answer.response.embedding.values) == 16 for answer in answers), answers


def check_models(client, _folder):
    models = {model.name: model for model in client.models.list()}
    model = models[f"models/{MODEL}"]
    assert "batchGenerateContent" in model.supported_actions and model.input_token_limit > 1_000_000, model
    assert "asyncBatchEmbedContent" in models[f"models/{EMBEDDING_MODEL}"].supported_actions
    assert client.models.get(model=MODEL).name == f"models/{MODEL}"


def check_tokens(client, _folder):
    assert client.models.count_tokens(model=MODEL, contents="four letters").total_tokens == 3


def check_files(client, _folder):
    names = [file.name for file in client.files.list(config={"page_size": 2})]
    assert len(names) >= 3 and len(names) == len(set(names)), names


def check_keys(client, _folder):
    options = client._api_client._http_options  # pylint: disable=protected-access
    wrong = genai.Client(api_key="invalid", http_options=types.HttpOptions(base_url=options.base_url))
    try:
        wrong.files.list()
    except errors.ClientError as error:
        assert error.code == 400 and "API key not valid" in error.message, error
    else:
        raise AssertionError("an invalid key was accepted")


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]


def run(url):
    failed = 0
    for version in ("v1beta", None):
        options = types.HttpOptions(base_url=url, api_version=version) if version else types.HttpOptions(base_url=url)
        client = genai.Client(api_key="k", http_options=options)
        for check in CHECKS:
            label = f"{check.__name__.removeprefix('check_').replace('_', ' ')} ({version or 'default version'})"
            try:
                with tempfile.TemporaryDirectory() as folder:
                    check(client, folder)
                print(f"ok      {label}", flush=True)
            except Exception:  # pylint: disable=broad-except
                failed += 1
                print(f"FAILED  {label}\n{traceback.format_exc()}", flush=True)
    print(f"{failed} of {2 * len(CHECKS)} checks failed", flush=True)
    return 1 if failed else 0


def run_with(command):
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
        try:
            url = simulator.stdout.readline().strip()
            assert url.startswith("http://"), f"not a URL: {url!r}"
            return run(url)
        finally:
            simulator.terminate()


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "--":
        sys.exit(run_with(sys.argv[2:]))
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(run(sys.argv[1]))
