//! `create_batch`: a request file becomes one paid job.

use rmcp::{tool, tool_router};

use super::found_by;
use crate::mcp::BatchServer;
use crate::mcp::call::Call;
use crate::mcp::consent::{self, Settled};
use crate::mcp::reply::{Answer, Failure};
use crate::mcp::schema;
use crate::ops::create::{self, CreateArgs, CreateReply};

#[tool_router(router = create_batch_router, vis = "pub(super)")]
impl BatchServer {
    /// Submit a request file as one batch job, at half price, and return its handle at once. Repeating the call finds
    /// the same job and costs nothing. dry_run checks and estimates only.
    #[tool(
        title = "Create batch",
        input_schema = schema::input::<CreateArgs>(),
        output_schema = schema::output::<CreateReply>(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = true),
        meta = found_by("submit gemini job")
    )]
    async fn create_batch(&self, mut call: Call<CreateArgs>) -> Result<Answer<CreateReply>, Failure> {
        let args = call.args()?;
        let (interview, monitor) = call.parts();
        match consent::before_create(&self.app, args, interview, monitor).await? {
            Settled::Ask(question) => Ok(Answer::Question(question)),
            Settled::Go(args) => Ok(create::create(&self.app, args, monitor).await?.into()),
        }
    }
}
