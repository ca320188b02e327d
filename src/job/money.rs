//! Tokens and what they cost.

use super::models::Price;

/// Tokens used by one request or by many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
#[schemars(inline)]
pub struct Usage {
    /// Input tokens, cached ones included.
    pub input_tokens: i64,
    /// The part of the input that was read from a cache.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub cached_tokens: i64,
    /// The part of the input that was audio.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub audio_input_tokens: i64,
    /// The part of the input that was pictures or pages.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub image_input_tokens: i64,
    /// The part of the input that was video.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub video_input_tokens: i64,
    /// Output tokens, thinking included.
    pub output_tokens: i64,
    /// The part of the output that was thinking.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub thinking_tokens: i64,
    /// The part of the output that was images.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub image_tokens: i64,
    /// The part of the output that was speech.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub audio_tokens: i64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.cached_tokens += other.cached_tokens;
        self.audio_input_tokens += other.audio_input_tokens;
        self.image_input_tokens += other.image_input_tokens;
        self.video_input_tokens += other.video_input_tokens;
        self.output_tokens += other.output_tokens;
        self.thinking_tokens += other.thinking_tokens;
        self.image_tokens += other.image_tokens;
        self.audio_tokens += other.audio_tokens;
    }
}

/// A sum of money that may be unknown. Unknown plus anything is unknown; it is never zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cost {
    /// So many US dollars.
    Usd(f64),
    /// The price is not known.
    Unknown,
}

impl Cost {
    /// The cost of one request with this usage; unknown without a price.
    pub fn of_request(usage: &Usage, price: Option<&Price>) -> Self {
        Self::of_requests(usage, usage.input_tokens, price)
    }

    /// The cost of many requests with this usage in all, whose prompts are about `prompt_tokens` long each.
    pub fn of_requests(usage: &Usage, prompt_tokens: i64, price: Option<&Price>) -> Self {
        let Some(price) = price else { return Self::Unknown };
        let (input, output, cached) = match &price.long {
            Some(long) if prompt_tokens > long.above_tokens => (long.input, long.output, long.cached),
            _ => (price.input, price.output, price.cached),
        };
        // Not more than there is, whatever the parts say.
        let fresh = (usage.input_tokens - usage.cached_tokens).max(0);
        let audio = usage.audio_input_tokens.min(fresh);
        let video = usage.video_input_tokens.min(fresh - audio);
        let image = usage.image_input_tokens.min(fresh - audio - video);
        let plain_input = fresh - audio - video - image;
        let plain_output = usage.output_tokens - usage.image_tokens;
        let micro_usd = tokens(plain_input) * input
            + tokens(usage.cached_tokens) * cached.unwrap_or(input)
            + tokens(audio) * price.audio_input.unwrap_or(input)
            + tokens(video) * price.video_input.unwrap_or(input)
            + tokens(image) * price.image_input.unwrap_or(input)
            + tokens(plain_output) * output
            + tokens(usage.image_tokens) * price.image_output.unwrap_or(output);
        Self::Usd(micro_usd / 1e6)
    }

    /// How much more it is than another sum.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Usd(a), Self::Usd(b)) => Self::Usd(a - b),
            _ => Self::Unknown,
        }
    }

    /// The sum in words, with as many digits as tell it from another one.
    pub fn beside(self, other: Self) -> String {
        let (Self::Usd(usd), Self::Usd(with)) = (self, other) else { return self.to_string() };
        if self == other || self.to_string() != other.to_string() {
            return self.to_string();
        }
        let digits = (3..=6).find(|digits| format!("{usd:.digits$}") != format!("{with:.digits$}"));
        digits.map_or_else(|| format!("${usd}"), |digits| format!("${usd:.digits$}"))
    }

    /// The sum in US dollars, rounded to a millionth; `None` when unknown.
    pub fn usd(self) -> Option<f64> {
        match self {
            Self::Usd(usd) => Some((usd * 1e6).round() / 1e6),
            Self::Unknown => None,
        }
    }
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = match (*self, other) {
            (Self::Usd(a), Self::Usd(b)) => Self::Usd(a + b),
            _ => Self::Unknown,
        };
    }
}

impl std::fmt::Display for Cost {
    /// Cents as a person writes them; small sums with the digits that matter.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usd(usd) if *usd == 0.0 || *usd >= 0.1 => write!(f, "${usd:.2}"),
            Self::Usd(usd) if *usd >= 0.001 => write!(f, "${usd:.4}"),
            Self::Usd(usd) => write!(f, "${usd:.6}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Token counts are far below 2^52, where floats are exact.
#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
fn tokens(count: i64) -> f64 {
    count.max(0) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::ModelTable;

    #[test]
    fn two_sums_are_told_apart() {
        let [high, limit] = [0.2506, 0.25].map(Cost::Usd);
        assert_eq!([high.beside(limit), limit.beside(high)], ["$0.251", "$0.250"]);
        assert_eq!(high.beside(Cost::Usd(0.26)), "$0.25");
        assert_eq!(limit.beside(limit), "$0.25");
        assert_eq!(Cost::Usd(0.25 + 1e-9).beside(limit), "$0.250000001");
        assert_eq!(Cost::Unknown.beside(limit), "unknown");
    }

    #[test]
    fn unknown_is_never_zero() {
        let mut sum = Cost::Usd(1.0);
        sum += Cost::of_request(&Usage::default(), None);
        assert_eq!(sum, Cost::Unknown);
        assert_eq!(sum.usd(), None);
        assert_eq!(sum.to_string(), "unknown");
    }

    #[test]
    fn cached_audio_and_image_tokens_have_their_own_price() {
        let table = ModelTable::embedded().unwrap();
        let flash = table.get("gemini-3-flash-preview").unwrap().price_on(table.as_of);
        let usage = Usage {
            input_tokens: 3_000_000,
            cached_tokens: 1_000_000,
            audio_input_tokens: 1_000_000,
            output_tokens: 2_000_000,
            ..Usage::default()
        };
        assert_eq!(Cost::of_request(&usage, flash).usd(), Some(0.25 + 0.05 + 0.50 + 3.00));

        let image = table.get("gemini-3.1-flash-image").unwrap().price_on(table.as_of);
        let usage = Usage { output_tokens: 2_000_000, image_tokens: 1_000_000, ..Usage::default() };
        assert_eq!(Cost::of_request(&usage, image).usd(), Some(1.50 + 30.00));
    }

    #[test]
    fn a_long_prompt_costs_the_long_price() {
        let table = ModelTable::embedded().unwrap();
        let pro = table.get("gemini-3.1-pro-preview").unwrap().price_on(table.as_of);
        let usage = |input_tokens| Usage { input_tokens, ..Usage::default() };
        assert_eq!(Cost::of_request(&usage(200_000), pro).usd(), Some(0.2));
        assert_eq!(Cost::of_request(&usage(200_001), pro).usd(), Some(0.400_002));
    }

    #[test]
    fn sums_read_like_money() {
        assert_eq!(Cost::Usd(4.896).to_string(), "$4.90");
        assert_eq!(Cost::Usd(0.0123).to_string(), "$0.0123");
        assert_eq!(Cost::Usd(0.000_012).to_string(), "$0.000012");
    }
}
