//! `delete_batch`: remove a job from the API.

use rmcp::{tool, tool_router};

use super::found_by;
use crate::mcp::BatchServer;
use crate::mcp::call::Call;
use crate::mcp::consent::{self, Settled};
use crate::mcp::reply::{Answer, Failure};
use crate::mcp::schema;
use crate::ops::delete::{self, DeleteArgs, DeleteReply};

#[tool_router(router = delete_batch_router, vis = "pub(super)")]
impl BatchServer {
    /// Remove an ended job from the API, once its answers are safe in a local file. Local files stay.
    #[tool(
        title = "Delete batch",
        input_schema = schema::input::<DeleteArgs>(),
        output_schema = schema::output::<DeleteReply>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = true),
        meta = found_by("remove job")
    )]
    async fn delete_batch(&self, mut call: Call<DeleteArgs>) -> Result<Answer<DeleteReply>, Failure> {
        let args = call.args()?;
        let (interview, monitor) = call.parts();
        match consent::before_delete(&self.app, args, interview, monitor).await? {
            Settled::Ask(question) => Ok(Answer::Question(question)),
            Settled::Go(args) => Ok(delete::delete(&self.app, args, monitor).await?.into()),
        }
    }
}
