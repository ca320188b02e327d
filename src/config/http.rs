//! The settings of the HTTP server: its flags, and what stands in the environment because it is secret.

use secrecy::SecretString;

use super::env_text;

/// The flags of the HTTP server.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct HttpFlags {
    /// Serve over HTTP at this loopback address, e.g. 127.0.0.1:8737, instead of standard input and output
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Take Google's notices of jobs at /webhook, as they are signed for a job's own --webhook-url: those made for this
    /// audience
    #[arg(long, value_name = "AUD", requires = "http")]
    pub webhook_audience: Option<String>,
}

/// What the HTTP server needs to know.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Where to listen, as given.
    pub address: String,
    /// How a notice of a job is known to come from Google.
    pub webhook: WebhookSettings,
}

/// Who may send notices of jobs. Neither way set: nobody.
#[derive(Debug, Clone, Default)]
pub struct WebhookSettings {
    /// Signing secrets of the project's webhooks, from `GEMINI_BATCH_WEBHOOK_SECRET`; several while they change.
    pub secrets: Vec<SecretString>,
    /// The audience of notices that are signed with Google's own keys.
    pub audience: Option<String>,
}

impl HttpSettings {
    /// Reads flags and environment; nothing, if the server is not to speak HTTP.
    pub fn read(flags: &HttpFlags) -> Option<Self> {
        let address = flags.http.clone()?;
        let secrets = env_text("GEMINI_BATCH_WEBHOOK_SECRET").unwrap_or_default();
        let secrets = secrets.split_whitespace().map(|secret| SecretString::from(secret.to_owned())).collect();
        Some(Self { address, webhook: WebhookSettings { secrets, audience: flags.webhook_audience.clone() } })
    }
}
