// Drives the MCP server with the TypeScript SDK: every transport, both ways of talking.
//
//     node typescript_sdk.mjs BINARY
//
// Has to be where its packages are installed, with story.json and planets.csv. Prints one line a check;
// exits with 1 if any failed.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const binary = process.argv[2];
const steps = JSON.parse(readFileSync(new URL("story.json", import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), "interop-"));
copyFileSync(new URL("planets.csv", import.meta.url), join(folder, "planets.csv"));
const env = { PATH: process.env.PATH, HOME: folder, GEMINI_BATCH_HOME: join(folder, "home") };

const server = spawn(binary, ["--simulate", "serve", "--http", "127.0.0.1:0"], { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
const [greeting] = await once(createInterface(server.stderr), "line");
const [address] = greeting.match(/http:\/\/[^/]+/);
const transports = {
  stdio: () => new StdioClientTransport({ command: binary, args: ["--simulate"], cwd: folder, env }),
  "/mcp": () => new StreamableHTTPClientTransport(new URL(`${address}/mcp`)),
  "/sse": () => new SSEClientTransport(new URL(`${address}/sse`)),
};

async function tellStory(client, label) {
  const heard = [];
  let job = "";
  for (const { tool, arguments: given } of steps) {
    // Other files and other content: another job.
    const text = JSON.stringify(given).replaceAll("$JOB", job).replace(/planets\.(requests|answered)/g, `${label}.$1`);
    const args = JSON.parse(text);
    if (args.template) args.template += ` (${label})`;
    const onprogress = ({ progress }) => heard.push(progress);
    const result = await client.callTool({ name: tool, arguments: args }, { onprogress, timeout: 60_000 });
    assert(!result.isError, JSON.stringify(result));
    job = result.structuredContent.job ?? job;
    if (tool === "get_results") assert.equal(result.structuredContent.outcomes.answered, 6);
  }
  assert(heard.length > 0, "no progress");
}

async function makeMistakes(client) {
  const result = await client.callTool({ name: "build_jsonl", arguments: { sauce: "planets.csv" } });
  assert(result.isError && result.content[0].text.includes("sauce"), JSON.stringify(result));
  await assert.rejects(client.callTool({ name: "brew_coffee", arguments: {} }), { code: -32602 });
}

async function readAndChoose(client) {
  const { resources } = await client.listResources();
  const status = resources.find(({ uri }) => uri.endsWith("/status"));
  const { contents } = await client.readResource({ uri: status.uri });
  assert.equal(JSON.parse(contents[0].text).jobs.length, 1, contents[0].text);
  await assert.rejects(client.readResource({ uri: "batch://nothing" }), ({ code }) => [-32002, -32602].includes(code));
  const { prompts } = await client.listPrompts();
  assert.equal(prompts[0].name, "generate_many");
  const { messages } = await client.getPrompt({ name: "monitor_jobs", arguments: {} });
  assert(messages[0].content.text.includes("check_status"));
  const ref = { type: "ref/prompt", name: "monitor_jobs" };
  const { completion } = await client.complete({ ref, argument: { name: "job", value: "" } });
  assert(completion.values.length > 0 && completion.total === completion.values.length, JSON.stringify(completion));
}

async function giveUp(client) {
  const signal = AbortSignal.timeout(300);
  const call = { name: "check_status", arguments: { wait: true } };
  await client.callTool(call, { signal }).then(({ structuredContent }) => assert(structuredContent.all_ended), () => {});
  await client.callTool({ name: "check_status", arguments: {} });
}

let failed = 0;
for (const [name, transport] of Object.entries(transports)) {
  for (const mode of ["legacy", "auto"]) {
    const client = new Client({ name: "interop", version: "0" }, { versionNegotiation: { mode } });
    try {
      await client.connect(transport());
      await client.listTools();
      await tellStory(client, `${name.replace("/", "")}-${mode}`);
      await makeMistakes(client);
      await readAndChoose(client);
      await giveUp(client);
      await client.close();
      console.log(`ok      ${name}, ${mode}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}, ${mode}\n${error.stack}`);
    }
  }
}
server.kill();
await once(server, "exit");
rmSync(folder, { recursive: true });
process.exit(failed ? 1 : 0);
