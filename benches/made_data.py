"""Makes the data that is measured: the same every time, written as a stream."""

import base64
import json
import os
import random

PLAIN = "Describe this product in two sentences for a shop, and name its main use and its material. "
OTHER = 'Décrivez ce produit: 漢字かな, Здравствуй, "quoted" \\ and\nbroken, €5. '


def apart(make, *arguments):
    """Makes data in a process of its own: what this one has used would count as the memory of its children."""
    child = os.fork()
    if child == 0:
        try:
            make(*arguments)
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError(f"{make.__name__} failed")


def words(number, length):
    """About `length` bytes of text; every tenth is in other scripts and needs escapes."""
    unit = OTHER if number % 10 == 0 else PLAIN
    return (unit * (length // len(unit.encode()) + 1))[:length]


def request_line(number, text):
    return {
        "key": f"row-{number:07}",
        "request": {"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": {"maxOutputTokens": 256}},
    }


def text_requests(path, count, length):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for number in range(count):
            print(json.dumps(request_line(number, words(number, length)), ensure_ascii=False), file=file)


def media_requests(path, count):
    """Requests with a megabyte of inline media each."""
    data = base64.b64encode(random.Random(7).randbytes(750_000)).decode()
    with open(path, "w") as file:
        for number in range(count):
            request = request_line(number, "What is it?")
            request["request"]["contents"][0]["parts"].append({"inlineData": {"mimeType": "image/png", "data": data}})
            print(json.dumps(request), file=file)


def table(path, count, length):
    """A CSV file: quoted texts, some with quotes and line breaks in them."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write("sku,name,category,features\n")
        for number in range(count):
            quoted = words(number, length).replace('"', '""')
            file.write(f'SKU-{number:07},Product number {number},Clothing > Knitwear,"light; soft; {quoted}"\n')


def results(path, key, count, length=400):
    """Result lines as the simulator orders them, in shuffled runs of 64; 2 in 100 are errors."""
    order = random.Random(7)
    runs = list(range(0, count, 64))
    order.shuffle(runs)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for start in runs:
            run = list(range(start, min(start + 64, count)))
            order.shuffle(run)
            for number in run:
                print(result_line(number, key.format(number), length), file=file)


def result_line(number, key, length):
    if number % 50 == 7:
        line = {"key": key, "error": {"code": 13, "message": "Internal error encountered."}}
        return json.dumps(line)
    usage = {
        "promptTokenCount": 8,
        "candidatesTokenCount": 11,
        "thoughtsTokenCount": 829,
        "totalTokenCount": 848,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}],
    }
    parts = [{"text": words(number, length)}]
    response = {
        "responseId": f"6VFkaIDwEPXVjMcP4-{number}",
        "usageMetadata": usage,
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "modelVersion": "gemini-3-flash-preview",
    }
    return json.dumps({"response": response, "key": key}, ensure_ascii=False, separators=(",", ":"))
