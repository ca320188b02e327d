//! `retry_batch`: ask again what has no usable answer.

use rmcp::{tool, tool_router};

use super::found_by;
use crate::mcp::BatchServer;
use crate::mcp::call::Call;
use crate::mcp::consent::{self, Settled};
use crate::mcp::reply::{Answer, Failure};
use crate::mcp::schema;
use crate::ops::retry::{self, RetryArgs, RetryReply};

#[tool_router(router = retry_batch_router, vis = "pub(super)")]
impl BatchServer {
    /// Submit the requests of an ended job that have no usable answer again, as a new job. Repeating the call finds
    /// the same job.
    #[tool(
        title = "Retry batch",
        input_schema = schema::input::<RetryArgs>(),
        output_schema = schema::output::<RetryReply>(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = true),
        meta = found_by("failed requests again")
    )]
    async fn retry_batch(&self, mut call: Call<RetryArgs>) -> Result<Answer<RetryReply>, Failure> {
        let args = call.args()?;
        let (interview, monitor) = call.parts();
        match consent::before_retry(&self.app, args, interview, monitor).await? {
            Settled::Ask(question) => Ok(Answer::Question(question)),
            Settled::Go(args) => Ok(retry::retry(&self.app, args, monitor).await?.into()),
        }
    }
}
