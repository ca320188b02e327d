//! gemini-batch-mcp: thousands of prompts answered at half price by the Gemini Batch API,
//! driven by coding agents (MCP) and by people (command line).
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
