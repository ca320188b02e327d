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
//! - [`cli`]: people. Commands (`cli/commands.rs`, `cli/flags/`), progress bars, exit codes, the demo, completions and
//!   the manual page (`cli/papers.rs`).
//! - [`mcp`]: the protocol, the only user of rmcp. `mcp/handler.rs` says what is answered to which request;
//!   `mcp/tools/` has one file a tool, `mcp/prompts/` one a prompt; `mcp/stdio.rs` and `mcp/http/` are the transports,
//!   `mcp/stop.rs` the signals that end them.
//!   - `mcp/resources/` is what can be read, `mcp/subscriptions.rs` tells of its changes, `mcp/completion.rs` offers
//!     what may be typed, `mcp/consent/` asks the user first, `mcp/tasks/` answers later what takes long, where the
//!     client knows how to ask, and asks its user meanwhile (`mcp/tasks/questions.rs`).
//!   - Over HTTP a request passes `mcp/http/connections.rs` (limits, `mcp/http/tls.rs`), `mcp/http/guard.rs` (names,
//!     pages), `mcp/http/rate.rs` (whose it is: `mcp/http/household.rs`), `mcp/http/login.rs` and `mcp/http/oauth.rs`
//!     (for as long as `mcp/http/expiry.rs` says), `mcp/http/message.rs` (its body, in bounds) and
//!     `mcp/http/scopes.rs`; `mcp/http/refusals.rs` tells the log whom they refuse.
//!   - Older clients have sessions there: what is said on which stream (`mcp/http/sessions/streams.rs`), one session
//!     (`mcp/http/sessions/session.rs`), all of them (`mcp/http/sessions/registry.rs`), in use or not
//!     (`mcp/http/pulse.rs`). `mcp/http/legacy.rs` keeps what they expect of a call without one, `mcp/http/modern.rs`
//!     what newer ones expect of one that takes long. `mcp/places.rs`: nobody takes more than a share.
//!   - `mcp/fixtures/`: what the official conformance suite calls, in a build that is never released.
//!   - `mcp/http/sse/`: the older transport; `mcp/http/webhook/`: notices of jobs; `mcp/http/jwt/`: signatures by
//!     public keys, for both logins and notices; `mcp/http/health.rs`: for whoever watches.
//! - [`ops`]: the verbs, one file each, called by tools and commands alike.
//!   - `ops/app.rs`: what every verb needs, opened when first needed. `ops/call_log.rs`: what is called of the API is
//!     written down. `ops/ending.rs`: a server that ends waits for what is under way. `ops/off_thread.rs`,
//!     `ops/relay.rs`: heavy work on threads of its own, told and stopped as any other.
//!   - `ops/build.rs`: rows to request lines, the steps of it in `ops/build/`: where the rows come from
//!     (`ops/build/rows.rs`, over `ops/dataset.rs`), what is asked (`ops/build/request.rs`, `ops/build/kinds.rs`), rows
//!     that are requests already (`ops/build/ready.rs`), media (`ops/build/attach.rs`, looked for by
//!     `ops/build/survey.rs`, uploaded by `ops/build/uploads.rs` for as long as `ops/build/media_life.rs` says), the
//!     lines (`ops/build/compose.rs`, under the eyes of `ops/build/watch.rs` and `ops/build/blanks.rs`), the rows that
//!     make none (`ops/build/problems.rs`, `ops/build/repeats.rs`), and what is said and heard (`ops/build/words.rs`).
//!     What cannot be meant: columns in the braces of other languages (`ops/build/foreign.rs`), voices for whom nobody
//!     calls (`ops/build/speakers.rs`).
//!   - `ops/create.rs`, `ops/given.rs`, `ops/checked.rs`, `ops/submit.rs`: a request file is checked, then becomes one
//!     job, once, cut into parts where it is too large for one batch (`ops/parts.rs`, `jsonl/cut.rs`). `ops/runs.rs`:
//!     whether it is one that is there (`ops/found.rs`), or a further run that is paid again.
//!   - `ops/send.rs`: one part to the API, under the lease of its job (`ops/lease.rs`): looked up first
//!     (`ops/lookup.rs`), if there is room (`ops/room.rs`), from the requests as they were checked (`ops/requests.rs`).
//!     What has to wait goes out later (`ops/queue.rs`), what takes too long goes on behind the answer
//!     (`ops/background.rs`); `ops/trouble.rs` tells what passes by itself.
//!   - `ops/estimate.rs`, `ops/build/count_tokens.rs`: tokens and price.
//!   - `ops/model.rs`, `ops/choice.rs`: whether a model may be used, and whether anybody chose it.
//!   - `ops/sample.rs`: some requests of a file as a job of their own, to tell what the whole would take.
//!   - `ops/status.rs`: where jobs stand, with how fast they are (`ops/status/rate.rs`), whether that is normal
//!     (`ops/status/verdict.rs`), how far its parts are (`ops/part_counts.rs`), and its words (`ops/status/words.rs`).
//!     `ops/run.rs`: all jobs moved on, to the end. Both wait by `ops/watch.rs`, beside which `ops/mover.rs` sends what
//!     waits.
//!   - `ops/observe.rs`: the API asked, by one process at a time and as often as `job/schedule.rs` says
//!     (`ledger/polls.rs`); `ops/gone.rs`: what it knows no more. `ops/notified.rs`: looked at because a notice came,
//!     signed with keys of `ops/signing_keys.rs`. `ops/ready.rs`: whether work can begin.
//!   - `ops/results.rs`: answers accounted for, the steps of it in `ops/results/`: a job and its retries as one set
//!     (`ops/results/family.rs`, brought home by `ops/collect.rs`, not too often by `ops/lacking.rs`), each request
//!     looked up, counted, written (`ops/results/answer_file.rs`, `ops/results/account.rs`), what each job cost
//!     (`ops/results/settle.rs`), a small reply (`ops/results/budget.rs`) in words (`ops/results/words.rs`), and what
//!     the file is of (`ops/results/manifest.rs`). `ops/answer_lines.rs`: the same as lines, some at a time, for who
//!     cannot open the file.
//!   - `ops/retry.rs`: what has no usable answer becomes a job of its own: whether once more, and on which model
//!     (`ops/retry/again.rs`), which requests (`ops/retry/choose.rs`), with which settings (`ops/retry/settings.rs`).
//!   - `ops/tidy.rs`, `ops/storage.rs`: uploads removed when they are of no more use; what lies at the API.
//!     `ops/unfinished.rs`: what has not ended is neither repeated nor deleted.
//!   - `ops/list.rs`, `ops/cancel.rs` (by `ops/stop.rs`), `ops/delete.rs`, `ops/find.rs`: jobs listed, stopped,
//!     removed, found; `ops/import.rs`: those that only the API knew.
//!   - `ops/manifest.rs`, `ops/models.rs`: what a job is of; models, their prices, whether they take batches.
//!   - `ops/known.rs`, `ops/data_files.rs`: names to choose from, told without asking anybody.
//!   - `ops/tasks.rs`: calls that outlast their answer (`ledger/tasks.rs`).
//!   - `ops/history.rs`, `ops/export.rs`, `ops/prune.rs`: what is remembered, told, written as JSON, forgotten.
//!   - `ops/vault.rs`: the files kept for each job beside the ledger. `ops/rebuild.rs`: a ledger that was damaged or
//!     lost is completed from the API's list and from those files.
//!   - `ops/doctor.rs`: what work needs, looked at: the API (`ops/doctor/api.rs`), this machine (`ops/doctor/here.rs`).
//!     `ops/statusline.rs`: one line, at once, and who was told what before.
//!   - `ops/schema_file.rs`, `ops/nearest.rs`, `ops/bounds.rs`: a schema in a file of the caller's; a name that is not
//!     there; a number that is too small. `ops/next.rs`: a call that a reply names.
//! - [`gemini`]: the API over REST, the only user of reqwest; its wire types stay inside.
//!   - A call (`gemini/call.rs`) goes out by `gemini/http.rs`, with the key (`gemini/key.rs`), and again where that is
//!     safe (`gemini/retry.rs`). What went wrong becomes an error in `gemini/failure.rs`, a 429 by way of
//!     `gemini/quota.rs`. Whoever watches is told of each exchange (`gemini/witness.rs`).
//!   - A file goes up by `gemini/upload.rs`: in chunks (`gemini/sending.rs`) that are read ahead (`gemini/chunks.rs`),
//!     taken up again by another process (`gemini/session.rs`), found where the last reply was lost
//!     (`gemini/arrived.rs`).
//!   - Batches (`gemini/batches.rs`) are what `gemini/operation.rs` reads of them; `gemini/inline.rs` takes out the
//!     results that some hold, `gemini/files.rs` downloads those of the others.
//! - [`ledger`]: what is remembered, in SQLite; the only user of rusqlite. What a job and its parts are
//!   (`ledger/record.rs`), that it is wanted (`ledger/intent.rs`), the steps of each part (`ledger/steps.rs`), money by
//!   the day (`ledger/spend.rs`), what may be enqueued (`ledger/limits.rs`), who is doing what (`ledger/lease.rs`). Opened, checked and exchanged when
//!   damaged (`ledger/opening.rs`, `ledger/rescue.rs`, `ledger/salvage.rs`), while nobody else uses it
//!   (`ledger/gate.rs`); looked at without a change (`ledger/examine.rs`), or without waiting (`ledger/glance.rs`),
//!   tried (`ledger/trial.rs`). What happens, each call of the API, and where answers were written, is an event
//!   (`ledger/events.rs`, `ledger/calls.rs`).
//! - [`source`]: data sets in: one format a file in `source/rows/`, templates (`source/template.rs`; with logic,
//!   `source/logic.rs`, of which `source/uses.rs` tells the columns and `source/unknown.rs` what is not there; with
//!   columns that are no names, `source/odd_names.rs`) filled into requests (`source/skeleton.rs`), keys
//!   (`source/key.rs`), what is attached (`source/attach.rs`) and its types (`source/media.rs`). All text is read
//!   through `source/bytes.rs` (unpacked, decoded); `source/exact.rs` keeps all digits of long numbers;
//!   `source/column_type.rs` is what a column holds; `source/listing.rs` finds the files of a folder or a pattern, but
//!   not those of this program's own (`source/own_files.rs`).
//! - [`answers`]: answers out: what each is worth, joined and written, one format a file.
//!   - `answers/index.rs`, `answers/slots.rs`, `answers/entry.rs`, `answers/asked.rs`, `answers/cells.rs`: which result
//!     line is of which key, in bounded memory.
//!   - `answers/answer.rs`, `answers/reasons.rs`, `answers/schema.rs`: what one is worth, and why no more;
//!     `answers/summary.rs`, `answers/tally.rs`: what all come to.
//!   - `answers/layout.rs`: what a format is to whoever writes it. Objects: `answers/jsonl_format.rs`,
//!     `answers/json_array.rs`; as they came: `answers/raw.rs`; vectors: `answers/npy.rs`. Tables, with the columns of
//!     `answers/table.rs` and `answers/fields.rs`: `answers/csv_format.rs`, `answers/flat_json.rs`,
//!     `answers/parquet_format.rs`, `answers/markdown.rs`. `answers/source_format.rs`: which of them a data set gets
//!     back.
//!   - `answers/media.rs`, `answers/media_name.rs`, `answers/sound.rs`: pictures and sounds as files.
//! - [`jsonl`]: request and result lines, streamed: framed (`jsonl/lines.rs`), written (`jsonl/writer.rs`), checked, a
//!   file at a time (`jsonl/validate.rs`) and a line at a time (`jsonl/check.rs`) against the API's schema
//!   (`jsonl/schema.rs`), read (`jsonl/result.rs`, `jsonl/response.rs`). `jsonl/mend/`: requests as people write them,
//!   put right. `jsonl/response_schema/`: schemas for answers in both languages.
//! - [`job`]: the domain, pure: handles, states, outcomes, models, money, and strangers' text made fit for a reply.
//! - [`config`]: flags and environment, read once; `config/http.rs`: those of the HTTP server, with
//!   `config/http/oauth.rs`.
//! - [`paths`]: paths that were checked against the allowed folders, `paths/address.rs`: as callers name them;
//!   `paths/unfinished.rs`: files that are being written; `paths/private.rs`: folders that are this user's alone.
//! - [`progress`]: how long work is told and stopped.
//! - [`error`]: kind, act, cause, hint.
//! - [`simulator`]: the API, pretended, on loopback; shares no type with [`gemini`].
//!
//! # Direction
//!
//! `main -> {cli, mcp} -> ops -> {gemini, ledger, source, answers, jsonl} -> {job, paths, progress} -> error`.
//! `source` and `answers` may use `jsonl`, `answers` may use `source`. `main`, `cli`, `mcp` and `ops` read `config`, `cli` and
//! `ops` start `simulator`; both use only `error`.
//!
//! # The life of a job
//!
//! 1. Rows become request lines in a file that appears whole (`ops/build/compose.rs`, `source/skeleton.rs`,
//!    `jsonl/writer.rs`); the ledger remembers what it was built from (`ledger/builds.rs`).
//! 2. The file is read once: checked, counted, hashed (`ops/checked.rs`, `jsonl/validate.rs`). The hash makes the
//!    handle (`job/id.rs`).
//! 3. Price and limits are checked (`ops/create.rs`, `ops/estimate.rs`); what is too large for one batch becomes parts.
//! 4. Intent is written down if the day's budget allows it. Then each part is uploaded and created under a lease, each
//!    step on disk before the next (`ops/send.rs`, `ledger/steps.rs`, `gemini/upload.rs`, `gemini/batches.rs`). A part
//!    without room waits for whoever runs next.
//! 5. Its state is asked for and recorded (`ops/observe.rs`, `gemini/operation.rs`).
//! 6. Its results are downloaded once and kept (`ops/collect.rs`, `ops/vault.rs`).
//! 7. Each key finds its line by an index, the newest usable one among those of the job and of its retries, gets its
//!    outcome, and is written beside its row if it is wanted (`answers/index.rs`, `answers/merged.rs`,
//!    `answers/classify.rs`, `answers/validate.rs`, `answers/select.rs`, `answers/write.rs`).
//!
//! # Where to add
//!
//! - a tool: a verb in `ops/`, a file in `mcp/tools/` and its line in `mcp/tools/mod.rs`, a command in `cli/commands.rs` and its
//!   spelling in `cli/spelling.rs`;
//! - a prompt: a file in `mcp/prompts/` and its line in `mcp/prompts/mod.rs`;
//! - a source format: a file in `source/rows/`, its name in `source/format.rs`, where it is opened in `source/mod.rs`;
//! - an answer format: a file such as `answers/csv_format.rs`, and its name in `answers/write.rs`;
//! - a type of media: `source/media.rs`;
//! - a column of all tables: `answers/table.rs`;
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
