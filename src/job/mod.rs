//! The domain: what a job is, how it is named, which states it goes through, what becomes of its
//! requests, what it costs. Pure: no files, no network, no clock.

pub mod id;
pub mod media;
pub mod models;
pub mod money;
pub mod outcome;
pub mod schedule;
pub mod spelling;
pub mod state;
pub mod text;
pub mod tokens;

pub use id::{ContentHash, Handle};
pub use models::{Model, ModelTable};
pub use money::{Cost, Usage};
pub use outcome::{Outcome, OutcomeCounts};
pub use state::JobState;

/// What a job asks of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Kind {
    /// Text, images or speech out of prompts (`batchGenerateContent`).
    Generate,
    /// Vectors out of texts (`asyncBatchEmbedContent`).
    Embed,
}

impl Kind {
    /// The kind as it is written in replies and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Embed => "embed",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "generate" => Some(Self::Generate),
            "embed" => Some(Self::Embed),
            _ => None,
        }
    }
}

/// Whether a counter is zero and may be left out of a reply.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(crate) fn is_zero(count: &i64) -> bool {
    *count == 0
}
