//! One call: what is asked of the API, about what, and whether it may be asked twice.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;

/// One call of the API.
#[derive(Debug)]
pub(super) struct Call {
    /// What is being done to what, for errors.
    pub(super) act: String,
    pub(super) subject: Subject,
    pub(super) repeat: Repeat,
    /// Tries in all, where fewer are made than usual.
    pub(super) most_tries: u32,
    pub(super) method: Method,
    /// Everything between base and query.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Bytes>,
    /// Until it is answered, if not as long as usual.
    pub(super) patience: Option<Duration>,
}

/// What a call is about: it decides what a refusal means and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Batch,
    /// A batch with all that it holds, inline results too.
    WholeBatch,
    File,
    Model,
    /// A new batch, of a model, perhaps with a file.
    Create,
}

/// Whether doing a call twice does the same as doing it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice is as good as once.
    Safe,
    /// Twice would be paid twice.
    Never,
}

impl Call {
    /// A call that may be repeated.
    pub(super) fn new(act: impl Into<String>, subject: Subject, method: Method, path: String) -> Self {
        Self {
            act: act.into(),
            subject,
            repeat: Repeat::Safe,
            most_tries: u32::MAX,
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            patience: None,
        }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds the parameters of a page.
    pub(super) fn page(self, size: u32, token: Option<&str>) -> Self {
        let call = self.query("pageSize", size.to_string());
        match token {
            Some(token) => call.query("pageToken", token),
            None => call,
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn json(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Not tried more often than so.
    pub(super) fn at_most(mut self, tries: u32) -> Self {
        self.most_tries = tries;
        self
    }

    /// Marks a call that must not be sent twice, and may take this long.
    pub(super) fn once(mut self, patience: Duration) -> Self {
        self.repeat = Repeat::Never;
        self.patience = Some(patience);
        self
    }
}
