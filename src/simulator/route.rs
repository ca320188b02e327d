//! Which call a request is.

use axum::http::{HeaderMap, Method};

use super::fault::Call;

/// A call with what stands in its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    StartUpload,
    /// A command to an open upload.
    Upload(UploadCommand),
    GetFile(String),
    ListFiles,
    DeleteFile(String),
    Download(String),
    /// Model, then what is asked of it.
    Create(String, Kind),
    GetBatch(String),
    ListBatches,
    CancelBatch(String),
    DeleteBatch(String),
    UpdateBatch(String),
    ListModels,
    GetModel(String),
    CountTokens(String),
    SigningKeys,
}

/// What a batch asks of its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Kind {
    Generate,
    Embed,
}

/// What is to be done with an open upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadCommand {
    Append,
    Finalize,
    Query,
    Cancel,
}

impl Route {
    /// The call, or `None` where the API has no such method.
    pub(super) fn of(method: &Method, path: &str, headers: &HeaderMap) -> Option<Self> {
        if (method, path) == (&Method::GET, "/.well-known/jwks.json") {
            return Some(Self::SigningKeys);
        }
        let path = path.replace("%3A", ":").replace("%3a", ":");
        let mut steps = path.trim_matches('/').split('/');
        let mut first = steps.next()?;
        let prefix = Some(first).filter(|step| matches!(*step, "upload" | "download"));
        if prefix.is_some() {
            first = steps.next()?;
        }
        if !matches!(first, "v1" | "v1beta") {
            return None;
        }
        let collection = steps.next()?;
        let rest = steps.collect::<Vec<_>>().join("/");
        let (id, verb) = rest.split_once(':').unwrap_or((&rest, ""));
        match (prefix, collection) {
            (Some("upload"), "files") => Self::upload(method, headers),
            (_, "files") => Self::files(method, id, verb),
            (None, "batches") => Self::batches(method, id, verb),
            (None, "models") => Self::models(method, id, verb),
            _ => None,
        }
    }

    fn upload(method: &Method, headers: &HeaderMap) -> Option<Self> {
        let command = headers.get("x-goog-upload-command")?.to_str().ok()?;
        if method != Method::POST && method != Method::PUT {
            return None;
        }
        let has = |word: &str| command.split(',').any(|part| part.trim() == word);
        Some(match () {
            () if has("start") => Self::StartUpload,
            () if has("finalize") => Self::Upload(UploadCommand::Finalize),
            () if has("upload") => Self::Upload(UploadCommand::Append),
            () if has("query") => Self::Upload(UploadCommand::Query),
            () if has("cancel") => Self::Upload(UploadCommand::Cancel),
            () => return None,
        })
    }

    fn files(method: &Method, id: &str, verb: &str) -> Option<Self> {
        match (method.as_str(), id, verb) {
            ("GET", "", "") => Some(Self::ListFiles),
            ("GET", id, "") => Some(Self::GetFile(id.into())),
            ("GET", id, "download") => Some(Self::Download(id.into())),
            ("DELETE", id, "") => Some(Self::DeleteFile(id.into())),
            _ => None,
        }
    }

    fn batches(method: &Method, id: &str, verb: &str) -> Option<Self> {
        match (method.as_str(), id, verb) {
            ("GET", "", "") => Some(Self::ListBatches),
            ("GET", id, "") => Some(Self::GetBatch(id.into())),
            ("DELETE", id, "") => Some(Self::DeleteBatch(id.into())),
            ("POST", id, "cancel") => Some(Self::CancelBatch(id.into())),
            ("PATCH", id, "updateGenerateContentBatch" | "updateEmbedContentBatch") => {
                Some(Self::UpdateBatch(id.into()))
            }
            _ => None,
        }
    }

    fn models(method: &Method, id: &str, verb: &str) -> Option<Self> {
        match (method.as_str(), id, verb) {
            ("GET", "", "") => Some(Self::ListModels),
            ("GET", id, "") => Some(Self::GetModel(id.into())),
            ("POST", id, "batchGenerateContent") => Some(Self::Create(id.into(), Kind::Generate)),
            ("POST", id, "asyncBatchEmbedContent") => Some(Self::Create(id.into(), Kind::Embed)),
            ("POST", id, "countTokens") => Some(Self::CountTokens(id.into())),
            _ => None,
        }
    }

    /// The call as faults name it.
    pub(super) fn call(&self) -> Call {
        match self {
            Self::StartUpload => Call::StartUpload,
            Self::Upload(UploadCommand::Append) => Call::UploadChunk,
            Self::Upload(UploadCommand::Finalize) => Call::Finalize,
            Self::Upload(UploadCommand::Query) => Call::QueryUpload,
            Self::Upload(UploadCommand::Cancel) => Call::CancelUpload,
            Self::GetFile(_) => Call::GetFile,
            Self::ListFiles => Call::ListFiles,
            Self::DeleteFile(_) => Call::DeleteFile,
            Self::Download(_) => Call::Download,
            Self::Create(..) => Call::CreateBatch,
            Self::GetBatch(_) => Call::GetBatch,
            Self::ListBatches => Call::ListBatches,
            Self::CancelBatch(_) => Call::CancelBatch,
            Self::DeleteBatch(_) => Call::DeleteBatch,
            Self::UpdateBatch(_) => Call::UpdateBatch,
            Self::ListModels | Self::GetModel(_) => Call::Models,
            Self::CountTokens(_) => Call::CountTokens,
            Self::SigningKeys => Call::SigningKeys,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: Method, path: &str) -> Option<Route> {
        Route::of(&method, path, &HeaderMap::new())
    }

    #[test]
    fn both_versions_and_both_forms_of_download_are_known() {
        let download = Some(Route::Download("batch-1".into()));
        assert_eq!(route(Method::GET, "/download/v1beta/files/batch-1:download"), download);
        assert_eq!(route(Method::GET, "/v1/files/batch-1:download"), download);
        let create = Some(Route::Create("gemini-x".into(), Kind::Embed));
        assert_eq!(route(Method::POST, "/v1/models/gemini-x:asyncBatchEmbedContent"), create);
        assert_eq!(route(Method::POST, "/v1beta/models/gemini-x%3AasyncBatchEmbedContent"), create);
    }

    #[test]
    fn unknown_versions_and_methods_are_no_calls() {
        assert_eq!(route(Method::GET, "/v2/files"), None);
        assert_eq!(route(Method::GET, "/v1/batches/1:cancel"), None);
        assert_eq!(route(Method::POST, "/upload/v1/files"), None);
    }
}
