//! `check_status`: where jobs stand.

use rmcp::{tool, tool_router};

use super::found_by;
use crate::mcp::BatchServer;
use crate::mcp::call::Call;
use crate::mcp::reply::{Failure, Reply};
use crate::mcp::schema;
use crate::ops::status::{self, StatusArgs, StatusReply};
use crate::progress::Monitor;

#[tool_router(router = check_status_router, vis = "pub(super)")]
impl BatchServer {
    /// Tell where jobs stand: state, counts, speed, time left, and whether that is normal. With wait, answers when
    /// all have ended or the time is up; then do other work and call again after next_check_after_s.
    #[tool(
        title = "Check status",
        input_schema = schema::input::<StatusArgs>(),
        output_schema = schema::output::<StatusReply>(),
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = true),
        meta = found_by("progress eta wait")
    )]
    async fn check_status(&self, call: Call<StatusArgs>) -> Result<Reply<StatusReply>, Failure> {
        let (mut args, monitor) = (call.args()?, call.monitor());
        loop {
            let reply = status::status(&self.app, args.clone(), monitor).await?;
            // Nobody's patience ends the wait of a task.
            let goes_on = args.wait && args.timeout_seconds.is_none() && monitor.has_time();
            if !goes_on || reply.next_check_after_s.is_none() {
                return Ok(reply.shortened().into());
            }
            args.jobs = reply.jobs.into_iter().map(|status| status.job).collect();
        }
    }
}
