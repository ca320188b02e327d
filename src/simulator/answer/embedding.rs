//! Embeddings.

use fastrand::Rng;
use serde_json::{Value, json};

use super::prompt::tokens_of_request;
use crate::simulator::fields::count;

/// Dimensions unless asked otherwise.
const DIMENSIONS: u64 = 3072;

/// The answer to a request: a vector of length one.
pub(super) fn response(request: &Value, seed: u64) -> Value {
    let dimensions = count(request, "outputDimensionality").unwrap_or(DIMENSIONS).clamp(1, DIMENSIONS);
    let mut rng = Rng::with_seed(seed);
    let raw: Vec<f64> = (0..dimensions).map(|_| (0..4).map(|_| rng.f64()).sum::<f64>() - 2.0).collect();
    let length = raw.iter().map(|value| value * value).sum::<f64>().sqrt();
    let values: Vec<f64> = raw.iter().map(|value| (value / length * 1e8).round() / 1e8).collect();
    json!({"tokenCount": tokens_of_request(request).to_string(), "embedding": {"values": values}})
}
