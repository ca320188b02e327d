use super::*;
use crate::job::media::{Medium, Resolution};

const PER_MILLION: f64 = 1e6;

fn load() -> Load {
    Load { requests: 10, input_tokens: 1_000, answers: 10, most_input_tokens: 1_000, ..Load::default() }
}

fn media() -> MediaTokens {
    let [picture, film, sound] = [
        Medium::Picture { width: 100, height: 100 },
        Medium::Video { milliseconds: 10_000 },
        Medium::Sound { milliseconds: 100_000 },
    ]
    .map(|medium| medium.tokens(Resolution::Usual));
    MediaTokens { pictures: picture.pictures, frames: film.frames, sound: sound.sound }
}

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 1).unwrap()
}

#[test]
fn each_kind_of_media_costs_what_it_costs() {
    let table = ModelTable::embedded().unwrap();
    let load = Load { media: media(), ..load() };
    let input = load.input("gemini-embedding-2");
    let [pictures, frames, sound] = [input.image_input_tokens, input.video_input_tokens, input.audio_input_tokens];
    assert!(pictures > 0 && frames > 0 && sound == 3_200, "{input:?}");
    assert_eq!(input.input_tokens, 1_000 + pictures + frames + sound);
    let estimate = Estimate::new(&load, "gemini-embedding-2", Kind::Embed, &table, day());
    #[expect(clippy::cast_precision_loss, reason = "a few thousand tokens")]
    let usd = |tokens: i64, price: f64| tokens as f64 * price / PER_MILLION;
    let expected = usd(1_000, 0.10) + usd(pictures, 0.225) + usd(frames, 6.0) + usd(sound, 3.25);
    assert!((estimate.expected_usd.unwrap() - expected).abs() < 1e-12, "{estimate:?}, {expected}");

    // Where the API counted twice as many as were estimated, all are twice as many.
    let counted = Some(Counted { requests: 2, tokens: 200, estimated: 100 });
    let doubled = Load { counted, ..load }.input("gemini-embedding-2");
    let all =
        [doubled.input_tokens, doubled.image_input_tokens, doubled.video_input_tokens, doubled.audio_input_tokens];
    assert_eq!(all, [input.input_tokens, pictures, frames, sound].map(|tokens| tokens * 2));
}

#[test]
fn pictures_and_speech_are_counted_as_such() {
    let most = 65_536;
    let spoken = Load { speeches: 10, ..load() };
    let [low, expected, high] = spoken.used(Usage::default(), Kind::Generate, most);
    assert_eq!([low, expected, high].map(|used| used.audio_tokens), [5_000, 7_500, 12_500]);
    assert_eq!((expected.output_tokens, expected.image_tokens), (7_500, 0));
    let drawn = Load { pictures: 10, answers: 20, ..load() };
    let [_, expected, _] = drawn.used(Usage::default(), Kind::Generate, most);
    assert_eq!((expected.output_tokens, expected.image_tokens, expected.audio_tokens), (22_400, 22_400, 0));
    let [_, expected, _] = spoken.used(Usage::default(), Kind::Embed, most);
    assert_eq!(expected.output_tokens, 0);
}

#[test]
fn answers_are_as_long_as_is_guessed_and_as_their_limits_allow() {
    let texts = |load: Load, most| load.used(Usage::default(), Kind::Generate, most).map(|used| used.output_tokens);
    assert_eq!(texts(load(), 65_536), [640, 4_000, 20_000]);
    assert_eq!(texts(load(), 1_000), [640, 4_000, 20_000], "a guess is no limit");
    let limited = Load { limited_requests: 4, output_limit_sum: 400, ..load() };
    assert_eq!(texts(limited, 65_536), [4 * 64 + 6 * 64, 4 * 100 + 6 * 400, 4 * 100 + 6 * 2_000]);
    let roomy = Load { limited_requests: 4, output_limit_sum: 400_000, ..load() };
    assert_eq!(texts(roomy, 65_536)[2], 4 * 65_536 + 6 * 2_000, "no longer than the model makes them");
    // Of eight that ran to the limit of the model before, six have none of their own.
    let long = Load { to_the_limit: 8, ..limited };
    assert_eq!(texts(long, 5_000), [4 * 64 + 6 * 64, 4 * 100 + 6 * 5_000, 4 * 100 + 6 * 5_000]);
}

#[test]
fn what_is_told_from_some_of_the_requests_may_be_more() {
    let more = load().extended(20, 8_000, 4_000);
    assert_eq!((more.requests, more.input_tokens, more.most_input_tokens), (20, 2_000, 2_000 + 20 * 4));
    assert_eq!(load().extended(10, 4_000, 4_000).most_input_tokens, 1_000, "all were read");
    assert_eq!(more.at_most().input_tokens, 2_080);
}

#[test]
fn what_a_model_does_not_make_has_no_price() {
    let table = ModelTable::embedded().unwrap();
    let asked = |load: Load, model: &str| {
        Estimate::new(&load, model, Kind::Generate, &table, day()).unsuited.map(|it| it.cause)
    };
    let (spoken, drawn) = (Load { speeches: 10, ..load() }, Load { pictures: 10, ..load() });
    assert_eq!(asked(spoken, "gemini-3.8-flash-tts"), None);
    assert_eq!(asked(load(), "gemini-3.8-flash"), None);
    let some = Load { speeches: 4, ..load() };
    let cause = "gemini-3.8-flash-tts makes speech, and the requests ask for text (6 of 10)";
    assert_eq!(asked(some, "gemini-3.8-flash-tts").unwrap(), cause);
    let cause = "gemini-3.8-flash makes text, and the requests ask for images";
    assert_eq!(asked(drawn, "gemini-3.8-flash").unwrap(), cause);
    let estimate = Estimate::new(&drawn, "gemini-3.8-flash", Kind::Generate, &table, day());
    assert_eq!((estimate.low_usd, estimate.high_usd), (None, None));
}

#[test]
fn a_guess_is_said_to_be_one_where_there_is_no_limit() {
    let is_guessed = |load: Load| output_basis(&load).contains("output guessed");
    assert!(is_guessed(load()));
    assert!(is_guessed(Load { limited_requests: 9, ..load() }));
    assert!(!is_guessed(Load { limited_requests: 10, ..load() }));
    assert!(!is_guessed(Load { limited_requests: 4, to_the_limit: 6, ..load() }));
    assert!(is_guessed(Load { limited_requests: 4, to_the_limit: 2, ..load() }));
    assert!(!is_guessed(Load { pictures: 10, ..load() }));
}
