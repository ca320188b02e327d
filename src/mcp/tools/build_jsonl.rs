//! `build_jsonl`: make a request file out of a data file and a template.

use rmcp::{tool, tool_router};

use super::found_by;
use crate::mcp::BatchServer;
use crate::mcp::call::Call;
use crate::mcp::reply::{Failure, Reply};
use crate::mcp::schema;
use crate::ops::build::{self, BuildArgs, BuildReply};

#[tool_router(router = build_jsonl_router, vis = "pub(super)")]
impl BatchServer {
    /// Write a request file: one Gemini request per row of a data file, out of a template. Replies with path, tokens,
    /// price, the first requests as sent, and bad rows by line. Sends no request, only large attachments; costs nothing.
    #[tool(
        title = "Build requests",
        input_schema = schema::input::<BuildArgs>(),
        output_schema = schema::output::<BuildReply>(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = true),
        meta = found_by("csv dataset rows template prompts embeddings images")
    )]
    async fn build_jsonl(&self, call: Call<BuildArgs>) -> Result<Reply<BuildReply>, Failure> {
        Ok(build::build(&self.app, call.args()?, call.monitor()).await?.into())
    }
}
