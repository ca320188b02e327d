//! The steps on the way of a job at which something can go wrong.

use gemini_batch_mcp::simulator::Call;

/// A step: one call of the API, at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The look whether the job is at the API, before anything is sent.
    LookUp,
    /// Opens the upload.
    UploadStart,
    /// The first 8 MiB of a large file.
    Chunk,
    /// Asks how much has arrived, after a chunk that broke.
    ChunkLookUp,
    /// The last bytes.
    Finalize,
    /// The call that costs money.
    Create,
    /// The look whether a create arrived whose reply was lost.
    CreateLookUp,
    /// A look at its state.
    Poll,
    /// The results.
    Download,
}

impl Stage {
    pub(crate) const ALL: [Self; 9] = [
        Self::LookUp,
        Self::UploadStart,
        Self::Chunk,
        Self::ChunkLookUp,
        Self::Finalize,
        Self::Create,
        Self::CreateLookUp,
        Self::Poll,
        Self::Download,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LookUp => "look-up",
            Self::UploadStart => "upload start",
            Self::Chunk => "chunk",
            Self::ChunkLookUp => "look-up of a chunk",
            Self::Finalize => "finalize",
            Self::Create => "create",
            Self::CreateLookUp => "look-up of a create",
            Self::Poll => "poll",
            Self::Download => "download",
        }
    }

    /// What is asked of the API then.
    pub(crate) fn call(self) -> Call {
        match self {
            Self::LookUp | Self::CreateLookUp => Call::ListBatches,
            Self::UploadStart => Call::StartUpload,
            Self::Chunk => Call::UploadChunk,
            Self::ChunkLookUp => Call::QueryUpload,
            Self::Finalize => Call::Finalize,
            Self::Create => Call::CreateBatch,
            Self::Poll => Call::GetBatch,
            Self::Download => Call::Download,
        }
    }

    /// The command that does it.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Poll => "status",
            Self::Download => "results",
            _ => "create",
        }
    }

    /// Whether the request has a body.
    pub(crate) fn sends_a_body(self) -> bool {
        matches!(self, Self::UploadStart | Self::Chunk | Self::Finalize | Self::Create)
    }

    /// Whether the file has to be larger than a chunk for it, or for it to matter.
    pub(crate) fn needs_a_large_file(self) -> bool {
        matches!(self, Self::Chunk | Self::ChunkLookUp | Self::Finalize)
    }
}
