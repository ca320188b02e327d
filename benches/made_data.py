"""Makes the data that is measured: the same every time, written as a stream."""

import base64
import json
import random

PLAIN = "Describe this product in two sentences for a shop, and name its main use and its material. "
OTHER = 'Décrivez ce produit: 漢字かな, Здравствуй, "quoted" \\ and\nbroken, €5. '


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


def results(path, keys, length=400, seed=7):
    """Result lines as the service writes them, near the order of the keys but not in it; 2 in 100 are errors."""
    order = random.Random(seed)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for start in range(0, len(keys), 64):
            window = list(range(start, min(start + 64, len(keys))))
            order.shuffle(window)
            for number in window:
                print(result_line(number, keys[number], length), file=file)


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
