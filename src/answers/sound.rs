//! Sound as the API sends it: bare samples, which no player knows without a header.

/// What a MIME type such as `audio/L16;codec=pcm;rate=24000` says of bare 16-bit samples.
///
/// By its name L16 would have the high byte first; what the API sends has the low byte first, as WAV files do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pcm {
    rate: u32,
    channels: u16,
}

const BYTES_A_SAMPLE: u16 = 2;
const USUAL_RATE: u32 = 24_000;
/// The header's own length, without the eight bytes that come before what it counts.
const HEADER: u32 = 36;

impl Pcm {
    /// Bare samples, if the type says so.
    pub(super) fn of_mime(mime: &str) -> Option<Self> {
        let mut parts = mime.split(';').map(|part| part.trim().to_ascii_lowercase());
        let bare = matches!(parts.next().as_deref(), Some("audio/l16" | "audio/pcm" | "audio/x-pcm"));
        let mut pcm = Self { rate: USUAL_RATE, channels: 1 };
        for part in parts {
            match part.split_once('=') {
                Some(("rate", rate)) => pcm.rate = rate.parse().unwrap_or(pcm.rate),
                Some(("channels", channels)) => pcm.channels = channels.parse().unwrap_or(pcm.channels),
                _ => {}
            }
        }
        (bare && pcm.rate > 0 && pcm.channels > 0).then_some(pcm)
    }

    /// The header of a WAV file with so many bytes of samples.
    pub(super) fn wav_header(self, bytes: u32) -> Vec<u8> {
        let frame = self.channels.saturating_mul(BYTES_A_SAMPLE);
        let fields: [&[u8]; 13] = [
            b"RIFF",
            &HEADER.saturating_add(bytes).saturating_add(bytes % 2).to_le_bytes(),
            b"WAVE",
            b"fmt ",
            &16_u32.to_le_bytes(),
            // Plain samples.
            &1_u16.to_le_bytes(),
            &self.channels.to_le_bytes(),
            &self.rate.to_le_bytes(),
            &self.rate.saturating_mul(u32::from(frame)).to_le_bytes(),
            &frame.to_le_bytes(),
            &(BYTES_A_SAMPLE * 8).to_le_bytes(),
            b"data",
            &bytes.to_le_bytes(),
        ];
        fields.concat()
    }

    /// How long so many bytes of samples sound.
    pub(super) fn seconds(self, bytes: u64) -> f64 {
        bytes as f64 / (f64::from(self.rate) * f64::from(self.channels) * f64::from(BYTES_A_SAMPLE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_the_samples_are() {
        let pcm = Pcm::of_mime("audio/L16;codec=pcm;rate=16000; channels=2").unwrap();
        assert_eq!(pcm, Pcm { rate: 16_000, channels: 2 });
        let header = pcm.wav_header(6400);
        assert_eq!(header.len(), 44);
        assert_eq!(&header[..4], b"RIFF");
        assert_eq!(u32::from_le_bytes(header[4..8].try_into().unwrap()), 6436);
        assert_eq!(u32::from_le_bytes(header[28..32].try_into().unwrap()), 64_000, "bytes a second");
        assert_eq!(u16::from_le_bytes(header[32..34].try_into().unwrap()), 4, "bytes a frame");
        assert!((pcm.seconds(6400) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn other_sounds_have_their_own_headers() {
        for mime in ["audio/wav", "audio/mpeg", "image/png", "", "audio/L16;rate=0"] {
            assert_eq!(Pcm::of_mime(mime), None, "{mime}");
        }
        assert_eq!(Pcm::of_mime("audio/pcm;rate=x").unwrap().rate, USUAL_RATE);
    }
}
