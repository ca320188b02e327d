//! The file of the requests of a call: one that is there, or one that is made of requests in the call itself.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::App;
use super::create::CreateArgs;
use super::vault::Vault;
use crate::error::{Error, ErrorKind, Result};
use crate::job::id::hex;
use crate::jsonl::writer::RequestWriter;
use crate::paths::AllowedPath;

/// The file to submit; requests given in the call become one first.
pub(super) fn request_file(app: &App, args: &CreateArgs) -> Result<AllowedPath> {
    match (&args.input, &args.requests) {
        (Some(input), None) => app.roots().existing(input).map_err(|e| super::nearest::named(app.roots(), input, e)),
        (None, Some(requests)) => write_inline(app, requests),
        _ => Err(Error::new(
            ErrorKind::InvalidArgument,
            "submitting a batch job",
            "give either input (a JSONL file) or requests",
        )
        .hint("build_jsonl makes the file: pass the path that it replied as input")),
    }
}

fn write_inline(app: &App, requests: &[Map<String, Value>]) -> Result<AllowedPath> {
    let mut lines = Vec::new();
    for request in requests {
        let line = serde_json::to_vec(request).map_err(|e| Error::internal("writing a request", e.to_string()))?;
        lines.push(line);
    }
    let name = format!("{}.jsonl", sha256_hex(&lines));
    let path = Vault::inline(app)?.file(&name)?;
    let mut writer = RequestWriter::create(path.clone(), false)?;
    for line in &lines {
        writer.push(line)?;
    }
    writer.finish()?;
    Ok(path)
}

fn sha256_hex(lines: &[Vec<u8>]) -> String {
    let mut hasher = Sha256::new();
    for line in lines {
        hasher.update(line);
        hasher.update(b"\n");
    }
    hex(&hasher.finalize())
}
