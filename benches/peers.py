"""The same work as a person would write it in Python: what the product is measured against.

Each is a process of its own: `python3 peers.py WORK ARGUMENTS`.
"""

import csv
import gzip
import hashlib
import json
import sys

try:
    import orjson

    loads = orjson.loads
except ImportError:
    loads = json.loads

csv.field_size_limit(1 << 30)


def validate(path):
    """Checks the shape of each line, and that no key comes twice. No field is checked against a schema."""
    keys, characters = set(), 0
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            value = loads(line)
            key, request = value["key"], value["request"]
            if not isinstance(key, str) or not key or key in keys:
                raise SystemExit(f"line {number}: bad key")
            if not isinstance(request, dict) or not request.get("contents"):
                raise SystemExit(f"line {number}: bad request")
            keys.add(key)
            for content in request["contents"]:
                for part in content["parts"]:
                    characters += len(part.get("text", ""))
    return len(keys), characters // 4


def sha256(path):
    """Hashes the file, as fast as OpenSSL does."""
    with open(path, "rb") as file:
        hashlib.file_digest(file, "sha256")


def plain(row):
    return f"Write a description of {row['name']} for our shop.\nCategory: {row['category']}\nFeatures: {row['features']}"


def filters(row):
    features = ", ".join(row["features"].split(";"))
    return f"Write a description of {row['name'].upper()} for our shop.\nCategory: {row['category']}\nFeatures: {features}"


def condition(row):
    category = f"Category: {row['category']}\n" if row["category"] else "No category.\n"
    return f"Write a description of {row['name'].title()} for our shop.\n{category}Features: {row['features']}"


def build(source, output, texts):
    text_of = {"plain": plain, "filters": filters, "condition": condition}[texts]
    opened = gzip.open(source, "rt", newline="", encoding="utf-8") if source.endswith(".gz") else open(source, newline="", encoding="utf-8")
    with opened as rows, open(output, "w", encoding="utf-8") as lines:
        for row in csv.DictReader(rows):
            request = {"contents": [{"parts": [{"text": text_of(row)}]}]}
            lines.write(json.dumps({"key": row["sku"], "request": request}) + "\n")


def answer_of(line):
    """The columns that our own CSV has."""
    value = loads(line)
    if "error" in value:
        return [value["key"], "", "failed", value["error"]["message"], "", ""]
    response = value["response"]
    candidate, usage = response["candidates"][0], response["usageMetadata"]
    text = "".join(part.get("text", "") for part in candidate["content"]["parts"] if not part.get("thought"))
    outcome = "answered" if candidate["finishReason"] == "STOP" else "truncated"
    output = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
    return [value["key"], text, outcome, "", usage.get("promptTokenCount", 0), output]


HEADER = ["key", "answer", "outcome", "error", "input_tokens", "output_tokens"]


def results(path, output):
    with open(path, "rb") as lines, open(output, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for line in lines:
            writer.writerow(answer_of(line))


def join(path, source, output):
    with open(path, "rb") as lines:
        answers = {answer[0]: answer for answer in map(answer_of, lines)}
    with open(source, newline="", encoding="utf-8") as rows, open(output, "w", newline="", encoding="utf-8") as file:
        reader, writer = csv.reader(rows), csv.writer(file)
        writer.writerow(next(reader) + HEADER[1:])
        for row in reader:
            writer.writerow(row + answers[row[0]][1:])


TYPES = """{response: 'STRUCT(candidates STRUCT(content STRUCT(parts STRUCT(text VARCHAR)[]), finishReason VARCHAR)[],
  usageMetadata STRUCT(promptTokenCount BIGINT, candidatesTokenCount BIGINT, thoughtsTokenCount BIGINT))',
  error: 'STRUCT(code INT, message VARCHAR)', key: 'VARCHAR'}"""


def answers(path):
    return f"""SELECT key, response.candidates[1].content.parts[1].text AS answer,
      CASE WHEN error IS NOT NULL THEN 'failed' WHEN response.candidates[1].finishReason = 'STOP' THEN 'answered'
        ELSE 'truncated' END AS outcome,
      error.message AS error, response.usageMetadata.promptTokenCount AS input_tokens,
      response.usageMetadata.candidatesTokenCount + response.usageMetadata.thoughtsTokenCount AS output_tokens
      FROM read_json('{path}', format='newline_delimited', columns={TYPES})"""


def duckdb(query):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(query)


def duckdb_results(path, output):
    duckdb(f"COPY ({answers(path)}) TO '{output}' (HEADER)")


def duckdb_parquet(path, output):
    duckdb(f"COPY ({answers(path)}) TO '{output}' (FORMAT parquet, COMPRESSION zstd)")


def duckdb_join(path, source, output):
    rows = f"SELECT * FROM read_csv('{source}', header=true, all_varchar=true)"
    query = f"SELECT r.*, a.* EXCLUDE key FROM ({rows}) r LEFT JOIN ({answers(path)}) a ON r.sku = a.key"
    duckdb(f"COPY ({query}) TO '{output}' (HEADER)")


def sdk_upload(url, path):
    """The official SDK."""
    from google import genai

    client = genai.Client(api_key="any", http_options={"base_url": url})
    client.files.upload(file=path, config={"mime_type": "application/jsonl"})


def sdk_imported():
    """What the SDK takes before it does anything."""
    from google import genai

    genai.Client(api_key="any")


def mcp_server(port=None):
    """A server of the official MCP library with a tool that does nothing: over stdio, or over HTTP at this port."""
    try:
        from mcp.server.fastmcp import FastMCP as Served
    except ImportError:
        from mcp.server import MCPServer as Served

    server = Served("peer")

    @server.tool()
    def list_jobs(limit: int = 20) -> dict:
        """Lists no jobs."""
        return {"jobs": []}

    if port is None:
        server.run()
    else:
        server.run(transport="streamable-http", port=int(port))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
