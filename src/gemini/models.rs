//! Model calls: which there are, what they can do, how many tokens a request has.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::batches::create_method;
use super::call::{Call, Subject};
use super::json::lenient_number;
use super::{Gemini, names};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Kind;

const PAGE_SIZE: u32 = 1000;
/// More pages than this are no list of models.
const MOST_PAGES: usize = 20;

/// A model as the API knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteModel {
    /// The name without `models/`.
    pub name: String,
    /// The name for people.
    pub display_name: Option<String>,
    /// The longest prompt, in tokens.
    pub input_token_limit: Option<i64>,
    /// The longest answer, in tokens.
    pub output_token_limit: Option<i64>,
    /// What it can be asked for, in the API's words: `batchGenerateContent`.
    pub methods: Vec<String>,
}

impl RemoteModel {
    /// Whether the API says that the model takes batches of this kind.
    pub fn takes_batches(&self, kind: Kind) -> bool {
        self.methods.iter().any(|known| known == create_method(kind))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireModel {
    name: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default, deserialize_with = "lenient_number")]
    input_token_limit: Option<i64>,
    #[serde(default, deserialize_with = "lenient_number")]
    output_token_limit: Option<i64>,
    #[serde(default)]
    supported_generation_methods: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePage {
    #[serde(default)]
    models: Vec<WireModel>,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenCount {
    #[serde(default, deserialize_with = "lenient_number")]
    total_tokens: Option<i64>,
}

impl From<WireModel> for RemoteModel {
    fn from(wire: WireModel) -> Self {
        Self {
            name: wire.name.strip_prefix("models/").unwrap_or(&wire.name).to_owned(),
            display_name: wire.display_name,
            input_token_limit: wire.input_token_limit,
            output_token_limit: wire.output_token_limit,
            methods: wire.supported_generation_methods,
        }
    }
}

impl Gemini {
    /// All models that the key may use.
    pub async fn models(&self) -> Result<Vec<RemoteModel>> {
        let (mut models, mut token) = (Vec::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let call = Call::new("listing models", Subject::Model, Method::GET, self.http.path("models"));
            let page: WirePage = self.http.json(&call.page(PAGE_SIZE, token.as_deref())).await?;
            models.extend(page.models.into_iter().map(RemoteModel::from));
            token = page.next_page_token.filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
        }
        Ok(models)
    }

    /// One model.
    pub async fn model(&self, name: &str) -> Result<RemoteModel> {
        let path = self.http.path(&names::model(name)?);
        let call = Call::new(format!("looking up the model {name}"), Subject::Model, Method::GET, path);
        Ok(self.http.json::<WireModel>(&call).await?.into())
    }

    /// How many tokens the prompt of a request has for this model.
    pub async fn count_tokens(&self, model: &str, kind: Kind, request_json: &str) -> Result<i64> {
        let model = names::model(model)?;
        let act = format!("counting the tokens of a request for {model}");
        let mut request: Map<String, Value> = serde_json::from_str(request_json)
            .map_err(|e| Error::new(ErrorKind::InvalidArgument, &act, format!("the request is no JSON object: {e}")))?;
        let body = match kind {
            // Embedding requests have one content, and no place of their own in this call.
            Kind::Embed => json!({ "contents": [request.remove("content")] }),
            Kind::Generate => {
                // This call demands the model inside the request as well.
                request.insert("model".to_owned(), Value::from(model.as_str()));
                json!({ "generateContentRequest": request })
            }
        };
        let body = body.to_string().into_bytes();
        let path = self.http.path(&format!("{model}:countTokens"));
        let call = Call::new(act, Subject::Model, Method::POST, path).json(body);
        let count = self.http.json::<TokenCount>(&call).await?.total_tokens;
        count.ok_or_else(|| Error::new(ErrorKind::UnexpectedAnswer, call.act, "the answer holds no number of tokens"))
    }
}
