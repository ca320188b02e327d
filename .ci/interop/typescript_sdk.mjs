// Drives the MCP server with the TypeScript SDK, versions 1 and 2: every transport, every way of talking.
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
import * as v2 from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import * as v1 from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport as SSEClientTransport1 } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport as StdioClientTransport1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as StreamableHTTPClientTransport1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const binary = process.argv[2];
const steps = JSON.parse(readFileSync(new URL("story.json", import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), "interop-"));
copyFileSync(new URL("planets.csv", import.meta.url), join(folder, "planets.csv"));
const env = { PATH: process.env.PATH, HOME: folder, GEMINI_BATCH_HOME: join(folder, "home") };

const server = spawn(binary, ["--simulate", "serve", "--http", "127.0.0.1:0"], { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
const [greeting] = await once(createInterface(server.stderr), "line");
const [address] = greeting.match(/http:\/\/[^/]+/);

// The transports of one version of the SDK.
const transports = (Stdio, Http, Sse) => ({
  stdio: () => new Stdio({ command: binary, args: ["--simulate"], cwd: folder, env }),
  "/mcp": () => new Http(new URL(`${address}/mcp`)),
  "/sse": () => new Sse(new URL(`${address}/sse`)),
});
const info = { name: "interop", version: "0" };
const ofV1 = {
  transports: transports(StdioClientTransport1, StreamableHTTPClientTransport1, SSEClientTransport1),
  open: () => new v1.Client(info),
  callTool: (client, call, options) => client.callTool(call, undefined, options),
};
const ofV2 = (mode) => ({
  transports: transports(StdioClientTransport, v2.StreamableHTTPClientTransport, v2.SSEClientTransport),
  open: () => new v2.Client(info, { versionNegotiation: { mode } }),
  callTool: (client, call, options) => client.callTool(call, options),
});
const ways = { v1: ofV1, "v2-legacy": ofV2("legacy"), "v2-auto": ofV2("auto") };

// A step's call, about this job; with other files and other content under each label: another job.
function callOf({ tool, arguments: given }, job, label) {
  const text = JSON.stringify(given).replaceAll("$JOB", job).replace(/planets\.(requests|answered)/g, `${label}.$1`);
  const args = JSON.parse(text);
  if (args.template) args.template += ` (${label})`;
  return { name: tool, arguments: args };
}

async function tellStory(call, label) {
  const heard = [];
  let job = "";
  for (const step of steps) {
    const onprogress = ({ progress }) => heard.push(progress);
    const result = await call(callOf(step, job, label), { onprogress, timeout: 60_000 });
    assert(!result.isError, JSON.stringify(result));
    job = result.structuredContent.job ?? job;
    assert(result.content[0].text.endsWith(`next: ${result.structuredContent.next}`), result.content[0].text);
    if (step.tool === "get_results") assert.equal(result.structuredContent.outcomes.answered, 6);
  }
  assert(heard.length > 0, "no progress");
}

async function makeMistakes(call) {
  const result = await call({ name: "build_jsonl", arguments: { sauce: "planets.csv" } });
  assert(result.isError && result.content[0].text.includes("sauce"), JSON.stringify(result));
  await assert.rejects(call({ name: "brew_coffee", arguments: {} }), { code: -32602 });
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

// A call that is given up ends; its job goes on.
async function giveUp(call, label) {
  const [build, create, wait] = steps;
  await call(callOf(build, "", label));
  const { job } = (await call(callOf(create, "", label))).structuredContent;
  await assert.rejects(call(callOf(wait, job, label), { signal: AbortSignal.timeout(200) }));
  const { jobs } = (await call({ name: "check_status", arguments: { jobs: [job] } })).structuredContent;
  assert.notEqual(jobs[0].state, "JOB_STATE_CANCELLED");
}

let failed = 0;
for (const [way, { transports, open, callTool }] of Object.entries(ways)) {
  for (const [name, transport] of Object.entries(transports)) {
    const client = open();
    const call = (...of) => callTool(client, ...of);
    const label = `${name.replace("/", "")}-${way}`;
    try {
      await client.connect(transport());
      await client.listTools();
      await tellStory(call, label);
      await makeMistakes(call);
      await readAndChoose(client);
      await giveUp(call, `${label}-given-up`);
      await client.close();
      console.log(`ok      ${name}, ${way}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}, ${way}\n${error.stack}`);
    }
  }
}
server.kill();
await once(server, "exit");
rmSync(folder, { recursive: true });
process.exit(failed ? 1 : 0);
