//! `get_results`: the answers of a job, in a file.

use std::path::Path;

use rmcp::model::Resource;
use rmcp::{tool, tool_router};

use super::found_by;
use crate::mcp::BatchServer;
use crate::mcp::call::Call;
use crate::mcp::reply::{Failure, Reply};
use crate::mcp::schema;
use crate::ops::results::{self, ResultsArgs, ResultsReply};

#[tool_router(router = get_results_router, vis = "pub(super)")]
impl BatchServer {
    /// Write a job's answers to a file. Replies with path, counts per outcome, tokens, cost, samples, and failures by
    /// reason. join puts each answer beside its source row. A job that has not ended gets its state instead.
    #[tool(
        title = "Get results",
        input_schema = schema::input::<ResultsArgs>(),
        output_schema = schema::output::<ResultsReply>(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = true),
        meta = found_by("answers download csv")
    )]
    async fn get_results(&self, call: Call<ResultsArgs>) -> Result<Reply<ResultsReply>, Failure> {
        let reply = results::results(&self.app, call.args()?, call.monitor()).await?;
        let link = file_link(&reply);
        Ok(Reply::from(reply).with_link(link))
    }
}

/// The written file, as something a client may open.
fn file_link(reply: &ResultsReply) -> Option<Resource> {
    let path = reply.path.as_deref()?;
    let name = Path::new(path).file_name()?.to_string_lossy();
    let mut link = Resource::new(file_uri(path), name).with_mime_type(mime_type(reply.format.as_deref()));
    link.size = reply.bytes.and_then(|bytes| bytes.try_into().ok());
    Some(link)
}

fn mime_type(format: Option<&str>) -> &'static str {
    match format {
        Some("csv") => "text/csv",
        Some("tsv") => "text/tab-separated-values",
        Some("json") => "application/json",
        Some("parquet") => "application/vnd.apache.parquet",
        Some("md") => "text/markdown",
        Some("npy") => "application/octet-stream",
        _ => "application/jsonl",
    }
}

/// An absolute path as a `file://` address (RFC 8089): everything but plain characters is escaped.
fn file_uri(path: &str) -> String {
    let path = path.replace(std::path::MAIN_SEPARATOR, "/");
    let slash = if path.starts_with('/') { "" } else { "/" };
    let escaped = path.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' | b':' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    format!("file://{slash}{}", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_an_address_that_any_client_can_read() {
        assert_eq!(file_uri("/data/a b/résumé #1.csv"), "file:///data/a%20b/r%C3%A9sum%C3%A9%20%231.csv");
    }
}
