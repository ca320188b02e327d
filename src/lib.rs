//! gemini-batch-mcp: thousands of prompts answered at half price by the Gemini Batch API,
//! driven by coding agents (MCP) and by people (command line).
//!
//! This page is the map. What the program promises its users stands in `README.md`.
//!
//! # Layout
//!
//! From the outside in; an arrow below is an import, and none goes the other way.
//!
//! - `main.rs`: flags to the library, its outcome to an exit code.
//! - [`cli`]: people. Commands (`cli/commands.rs`, `cli/flags/`), progress bars, exit codes, the demo.
//! - [`mcp`]: the protocol, the only user of rmcp. `mcp/tools/` has one file a tool; stdio, HTTP and SSE beside it.
//! - [`ops`]: the verbs, one file each, called by tools and commands alike.
//!   - `ops/app.rs`: what every verb needs, opened when first needed.
//!   - `ops/build.rs`, `ops/request.rs`, `ops/compose.rs`: rows to request lines. `ops/rows.rs`, `ops/dataset.rs`:
//!     where the rows come from. `ops/ready.rs`: rows that are requests already. `ops/watch.rs`: an eye on what is made.
//!   - `ops/create.rs`, `ops/checked.rs`, `ops/submit.rs`: a request file is checked, then becomes one job, once.
//!   - `ops/estimate.rs`, `ops/model.rs`: tokens, price, and whether a model may be used.
//!   - `ops/status.rs`, `ops/observe.rs`: where jobs stand.
//!   - `ops/results.rs`, `ops/collect.rs`, `ops/answer_file.rs`, `ops/account.rs`: results come home and are accounted for.
//!   - `ops/retry.rs`: what has no usable answer becomes a job of its own.
//!   - `ops/list.rs`, `ops/cancel.rs`, `ops/delete.rs`, `ops/find.rs`: jobs listed, stopped, removed, found.
//!   - `ops/vault.rs`: the files kept for each job beside the ledger.
//! - [`gemini`]: the API over REST, the only user of reqwest; its wire types stay inside.
//! - [`ledger`]: what is remembered, in SQLite; the only user of rusqlite.
//! - [`source`]: data sets in: one format a file in `source/rows/`, templates, keys.
//! - [`answers`]: answers out: what each is worth, joined and written, one format a file.
//! - [`jsonl`]: request and result lines, streamed: framing, writing, checking, reading. `jsonl/mend/`: requests as
//!   people write them, put right. `jsonl/response_schema/`: schemas for answers in both languages.
//! - [`job`]: the domain, pure: handles, states, outcomes, models and money.
//! - [`config`]: flags and environment, read once.
//! - [`paths`]: paths that were checked against the allowed folders. [`progress`]: how long work is told and stopped.
//! - [`error`]: kind, act, cause, hint.
//! - [`simulator`]: the API, pretended, on loopback; shares no type with [`gemini`].
//!
//! # Direction
//!
//! `main -> {cli, mcp} -> ops -> {gemini, ledger, source, answers, jsonl} -> {job, paths, progress} -> error`.
//! `source` and `answers` may use `jsonl`, `answers` may use `source`. `simulator` uses only `error`.
//!
//! # The life of a job
//!
//! 1. Rows become request lines in a file that appears whole (`ops/compose.rs`, `source/skeleton.rs`,
//!    `jsonl/writer.rs`); the ledger remembers what it was built from (`ledger/builds.rs`).
//! 2. The file is read once: checked, counted, hashed (`ops/checked.rs`, `jsonl/validate.rs`). The hash makes the
//!    handle (`job/id.rs`).
//! 3. Price and limits are checked (`ops/create.rs`, `ops/estimate.rs`).
//! 4. Intent is written down under a lease, then the file is uploaded, then the job is created, each step on disk before
//!    the next (`ops/submit.rs`, `ledger/steps.rs`, `gemini/upload.rs`, `gemini/batches.rs`).
//! 5. Its state is asked for and recorded (`ops/observe.rs`, `gemini/operation.rs`).
//! 6. Its results are downloaded once and kept (`ops/collect.rs`, `ops/vault.rs`).
//! 7. Each key finds its line by an index, gets its outcome, and is written beside its row (`answers/index.rs`,
//!    `answers/classify.rs`, `answers/write.rs`).
//!
//! # Where to add
//!
//! - a tool: a verb in `ops/`, a file in `mcp/tools/` and its line in `mcp/tools/mod.rs`, a command in `cli/commands.rs`;
//! - a source format: a file in `source/rows/`, and its name in `source/format.rs`;
//! - an answer format: a file such as `answers/csv_format.rs`, and its name in `answers/write.rs`;
//! - a model or a price: `job/models.json`.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_cmp)
)]

pub mod answers;
pub mod cli;
pub mod config;
pub mod error;
pub mod gemini;
pub mod job;
pub mod jsonl;
pub mod ledger;
pub mod mcp;
pub mod ops;
pub mod paths;
pub mod progress;
pub mod simulator;
pub mod source;
