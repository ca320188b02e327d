//! The verbs, one file each: plain async functions of what a caller asks, blind to who is calling.

pub mod build;
pub mod cancel;
pub mod create;
pub mod delete;
pub mod estimate;
pub mod list;
pub mod results;
pub mod status;

use std::sync::Arc;

use crate::config::Config;
use crate::error::Result;
use crate::job::ModelTable;
use crate::paths::Roots;

/// What every verb needs. Cheap to clone; opened lazily, so that a server starts at once.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    roots: Roots,
    models: ModelTable,
}

impl App {
    /// An app with these settings. Touches neither network nor ledger.
    pub fn new(config: Config) -> Result<Self> {
        let roots = Roots::new(config.roots.iter().cloned())?;
        let models = ModelTable::embedded()?;
        Ok(Self { inner: Arc::new(Inner { config, roots, models }) })
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The folders files may be in.
    pub fn roots(&self) -> &Roots {
        &self.inner.roots
    }

    /// What is known of models.
    pub fn models(&self) -> &ModelTable {
        &self.inner.models
    }
}
