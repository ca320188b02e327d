//! How many tokens media have, by the rules that Google publishes (ai.google.dev/gemini-api/docs/tokens and
//! …/media-resolution, as of November 2026).

/// Media of which the size is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A picture, in pixels.
    Picture {
        /// Its width.
        width: u64,
        /// Its height.
        height: u64,
    },
    /// A PDF.
    Document {
        /// Its pages.
        pages: u64,
    },
    /// Video with its sound, looked at once a second.
    Video {
        /// How long it is.
        milliseconds: u64,
    },
    /// Sound.
    Sound {
        /// How long it is.
        milliseconds: u64,
    },
}

/// How closely the model is to look: `mediaResolution`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Resolution {
    /// Not said.
    #[default]
    Usual,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
}

/// Tokens of media, for any model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MediaTokens {
    /// Of pictures and pages.
    pub pictures: Tokens,
    /// Of the frames of videos.
    pub frames: Tokens,
    /// Of sound, which all models count alike.
    pub sound: u64,
}

/// Tokens by the rules of both generations of models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Before Gemini 3: by tiles.
    tiled: u64,
    /// From Gemini 3 on: whatever the size.
    fixed: u64,
}

/// A small picture, a tile of a larger one, or a page.
const TILE: u64 = 258;
const TILE_SIDE: u64 = 768;
const SMALL_SIDE: u64 = 384;
const LOW_PICTURE: u64 = 64;
const LOW_FRAME: u64 = 66;
const SOUND_A_SECOND: u64 = 32;

impl Medium {
    /// Its tokens.
    pub fn tokens(self, resolution: Resolution) -> MediaTokens {
        match self {
            Self::Picture { width, height } => {
                let tiled = match resolution {
                    Resolution::Low => LOW_PICTURE,
                    Resolution::Medium => TILE,
                    Resolution::Usual | Resolution::High => TILE.saturating_mul(tiles(width, height)),
                };
                let fixed = match resolution {
                    Resolution::Low => 280,
                    Resolution::Medium => 560,
                    Resolution::Usual | Resolution::High => 1_120,
                };
                MediaTokens { pictures: Tokens { tiled, fixed }, ..MediaTokens::default() }
            }
            Self::Document { pages } => {
                let page = match resolution {
                    Resolution::Low => 280,
                    Resolution::Usual | Resolution::Medium => 560,
                    Resolution::High => 1_120,
                };
                let pictures = Tokens { tiled: TILE.saturating_mul(pages), fixed: pages.saturating_mul(page) };
                MediaTokens { pictures, ..MediaTokens::default() }
            }
            Self::Video { milliseconds } => {
                let tiled = seconds(milliseconds, if resolution == Resolution::Low { LOW_FRAME } else { TILE });
                let fixed = seconds(milliseconds, if resolution == Resolution::High { 280 } else { 70 });
                let sound = seconds(milliseconds, SOUND_A_SECOND);
                MediaTokens { frames: Tokens { tiled, fixed }, sound, ..MediaTokens::default() }
            }
            Self::Sound { milliseconds } => {
                MediaTokens { sound: seconds(milliseconds, SOUND_A_SECOND), ..MediaTokens::default() }
            }
        }
    }
}

fn seconds(milliseconds: u64, tokens: u64) -> u64 {
    proportional(tokens, milliseconds, 1000)
}

fn tiles(width: u64, height: u64) -> u64 {
    if width.max(height) <= SMALL_SIDE {
        return 1;
    }
    width.div_ceil(TILE_SIDE).saturating_mul(height.div_ceil(TILE_SIDE)).max(1)
}

impl Tokens {
    /// As this model counts.
    pub fn of(self, model: &str) -> u64 {
        let old = ["gemini-1", "gemini-2"].iter().any(|family| model.starts_with(family));
        if old { self.tiled } else { self.fixed }
    }

    fn extended(self, many: u64, few: u64) -> Self {
        Self { tiled: proportional(self.tiled, many, few), fixed: proportional(self.fixed, many, few) }
    }
}

impl MediaTokens {
    /// Whether there are none.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// The tokens of `many` such media where these are of `few`.
    #[must_use]
    pub fn extended(self, many: u64, few: u64) -> Self {
        Self {
            pictures: self.pictures.extended(many, few),
            frames: self.frames.extended(many, few),
            sound: proportional(self.sound, many, few),
        }
    }
}

/// `count` of `few`, as it would be of `many`.
pub fn proportional(count: u64, many: u64, few: u64) -> u64 {
    let exact = u128::from(count) * u128::from(many) / u128::from(few.max(1));
    u64::try_from(exact).unwrap_or(u64::MAX)
}

impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        self.tiled = self.tiled.saturating_add(other.tiled);
        self.fixed = self.fixed.saturating_add(other.fixed);
    }
}

impl std::ops::AddAssign for MediaTokens {
    fn add_assign(&mut self, other: Self) {
        self.pictures += other.pictures;
        self.frames += other.frames;
        self.sound = self.sound.saturating_add(other.sound);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_counted_as_the_documentation_does() {
        let picture = |width, height, resolution| {
            let tokens = Medium::Picture { width, height }.tokens(resolution);
            (tokens.pictures.of("gemini-2.5-flash"), tokens.pictures.of("gemini-3-flash-preview"))
        };
        assert_eq!(picture(384, 384, Resolution::Usual), (258, 1120));
        assert_eq!(picture(385, 10, Resolution::Usual), (258, 1120));
        assert_eq!(picture(1024, 1024, Resolution::Usual), (4 * 258, 1120));
        assert_eq!(picture(1024, 1024, Resolution::Low), (64, 280));
        assert_eq!(picture(u64::MAX, u64::MAX, Resolution::High), (u64::MAX, 1120), "no overflow");
    }

    #[test]
    fn pages_and_seconds_have_their_rate() {
        let pages = Medium::Document { pages: 3 }.tokens(Resolution::Usual);
        assert_eq!((pages.pictures.of("gemini-2.5-pro"), pages.pictures.of("gemini-4-argon")), (774, 1680));
        assert_eq!(Medium::Sound { milliseconds: 60_000 }.tokens(Resolution::High).sound, 1920);
        let film = Medium::Video { milliseconds: 10_000 }.tokens(Resolution::Low);
        assert_eq!((film.frames.of("gemini-2.5-pro"), film.frames.of("gemini-3.8-flash"), film.sound), (660, 700, 320));
    }
}
