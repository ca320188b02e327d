//! The tools, one file each: what a model reads of it, and the verb it calls.

mod build_jsonl;
mod cancel_batch;
mod check_status;
mod create_batch;
mod delete_batch;
mod get_results;
mod list_batches;
mod retry_batch;

use rmcp::handler::server::tool::ToolRouter;
use rmcp::model::{JsonObject, MetaObject};

use super::BatchServer;

/// Words by which a client that loads tools when they are needed finds this one: those that are not in its
/// description. Claude Code reads them.
fn found_by(words: &str) -> MetaObject {
    MetaObject(JsonObject::from_iter([("anthropic/searchHint".to_owned(), words.into())]))
}

/// All tools, in the order in which they are listed: a job's way first.
pub(super) fn routers() -> [ToolRouter<BatchServer>; 8] {
    [
        BatchServer::build_jsonl_router(),
        BatchServer::create_batch_router(),
        BatchServer::check_status_router(),
        BatchServer::get_results_router(),
        BatchServer::retry_batch_router(),
        BatchServer::list_batches_router(),
        BatchServer::cancel_batch_router(),
        BatchServer::delete_batch_router(),
    ]
}
