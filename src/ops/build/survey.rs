//! A first reading of the rows, to know which files are too large to go into the requests.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::attach::{Attach, Attacher, Large, RowMedia};
use crate::error::{Error, Result};
use crate::job::id::hex;
use crate::jsonl::keys::KeySet;
use crate::paths::AllowedPath;
use crate::progress::{Monitor, Progress};
use crate::source::{KeyRule, Row, RowProblem, Skeleton, Source};

const BLOCK: usize = 256 * 1024;
/// Rows between two looks at whether to go on.
const STRIDE: u64 = 256;

/// How the rows are to be read.
#[derive(Clone)]
pub(super) struct Survey {
    pub(super) request: Value,
    pub(super) key: Option<String>,
    pub(super) limit: u64,
    /// Whether rows of which no request can be made are left out.
    pub(super) skip_bad: bool,
    pub(super) attach: Attach,
    /// What this reading is called where progress is shown.
    pub(super) stage: &'static str,
}

/// What the good rows bring along.
pub(super) struct Seen {
    /// The large files, each once.
    pub(super) large: Vec<Large>,
    /// Bytes of all others, as often as they are attached.
    pub(super) inline_bytes: u64,
}

/// Reads the rows; `None` if a bad one will end the build anyway.
pub(super) fn survey(survey: &Survey, mut source: Source, monitor: &dyn Monitor) -> Result<Option<Seen>> {
    let skeleton = Skeleton::compile(&survey.request)?;
    let rule = KeyRule::parse(survey.key.as_deref(), source.columns())?;
    let mut attacher = Attacher::new(&survey.attach, source.columns())?;
    let (mut keys, mut line, mut key) = (KeySet::new(), Vec::new(), String::new());
    let mut good = |row: &Row<'_>| -> Result<Option<RowMedia>, RowProblem> {
        let name = rule.key(row, &mut key)?;
        line.clear();
        let media = attacher.media(row)?;
        // A prompt may be empty where there is a picture.
        let part: &[u8] = if media.is_any { b"{}" } else { b"" };
        skeleton.render_line_with(name, row, part, &mut line)?;
        Ok(keys.insert(name.as_bytes()).then_some(media))
    };
    let mut large: HashMap<AllowedPath, Large> = HashMap::new();
    let (mut count, mut inline_bytes) = (0, 0);
    while count < survey.limit {
        let Some(row) = source.next_row()? else { break };
        match row.and_then(|row| good(&row)) {
            Ok(Some(media)) => {
                large.extend(media.large.into_iter().map(|file| (file.path.clone(), file)));
                inline_bytes += media.inline_bytes;
                count += 1;
            }
            Ok(None) | Err(_) if survey.skip_bad => {}
            Ok(None) | Err(_) => return Ok(None),
        }
        if count % STRIDE == 0 {
            monitor.check(survey.stage)?;
            monitor.report(&Progress { stage: survey.stage.into(), done: count, total: None, unit: "rows" });
        }
    }
    Ok(Some(Seen { large: large.into_values().collect(), inline_bytes }))
}

/// Files with the same content.
pub(super) struct Same {
    pub(super) sha256: String,
    pub(super) mime: &'static str,
    pub(super) files: Vec<Large>,
}

/// Hashes the files and brings those together that are the same.
pub(super) fn by_content(large: Vec<Large>, monitor: &dyn Monitor) -> Result<Vec<Same>> {
    let total = large.iter().map(|file| file.bytes).sum();
    let mut progress = Progress { stage: "reading media".into(), done: 0, total: Some(total), unit: "bytes" };
    let mut contents: BTreeMap<_, Vec<Large>> = BTreeMap::new();
    for file in large {
        let sha256 = sha256(&file.path, &mut progress, monitor)?;
        contents.entry((sha256, file.mime)).or_default().push(file);
    }
    Ok(contents.into_iter().map(|((sha256, mime), files)| Same { sha256, mime, files }).collect())
}

fn sha256(path: &AllowedPath, progress: &mut Progress, monitor: &dyn Monitor) -> Result<String> {
    let act = format!("reading {path}");
    let mut file = path.open()?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        monitor.check(&act)?;
        match file.read(&mut block).map_err(|e| Error::io(act.as_str(), e))? {
            0 => return Ok(hex(&hasher.finalize())),
            count => {
                hasher.update(block.get(..count).unwrap_or_default());
                progress.done += count as u64;
                monitor.report(progress);
            }
        }
    }
}
