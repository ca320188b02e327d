//! Small images and short sounds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;

/// Pixels a side.
const SIDE: u32 = 8;
/// Samples a second.
const RATE: u32 = 24_000;

/// A PNG of one colour, as base64.
pub(super) fn png(rng: &mut Rng) -> String {
    let colour = [rng.u8(..), rng.u8(..), rng.u8(..)];
    let row = [vec![0], colour.repeat(SIDE as usize)].concat();
    let pixels = row.repeat(SIDE as usize);
    // Width, height, 8 bits a channel, RGB, and the only methods there are.
    let header = [&SIDE.to_be_bytes()[..], &SIDE.to_be_bytes()[..], &[8, 2, 0, 0, 0]].concat();
    let file =
        [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &stored(&pixels)), chunk(b"IEND", &[])];
    STANDARD.encode(file.concat())
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap_or_default();
    let named = [name.as_slice(), data].concat();
    [&length.to_be_bytes()[..], &named, &crc32(&named).to_be_bytes()].concat()
}

/// A zlib stream with one block that is not compressed.
fn stored(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or_default();
    let block = [&[0x78, 0x01, 0x01][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
    [&block[..], data, &adler32(data).to_be_bytes()].concat()
}

fn adler32(data: &[u8]) -> u32 {
    let (a, b) = data.iter().fold((1, 0), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !data.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

/// A quarter of a second of a tone: 16-bit samples, as base64.
pub(super) fn speech(rng: &mut Rng) -> String {
    let pitch = f64::from(rng.u32(200..600));
    let sample = |n: u32| (f64::from(n) / f64::from(RATE) * pitch * std::f64::consts::TAU).sin();
    let samples = (0..RATE / 4).flat_map(|n| ((sample(n) * 8000.0) as i16).to_le_bytes());
    STANDARD.encode(samples.collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_agree_with_published_values() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b"IEND"), 0xAE42_6082);
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
    }

    #[test]
    fn a_sound_lasts_a_quarter_of_a_second() {
        let bytes = STANDARD.decode(speech(&mut Rng::with_seed(1))).unwrap();
        assert_eq!(bytes.len(), 2 * 6000);
    }
}
