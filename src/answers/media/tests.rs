use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::*;
use crate::paths::Roots;

struct Folder {
    roots: Roots,
    _folder: tempfile::TempDir,
}

fn folder() -> Folder {
    let folder = tempfile::tempdir().unwrap();
    Folder { roots: Roots::new([folder.path().to_owned()]).unwrap(), _folder: folder }
}

impl Folder {
    fn media(&self, overwrite: bool) -> MediaFolder {
        let output = self.roots.writable("out.csv").unwrap();
        MediaFolder::new(self.roots.writable_folder("m").unwrap(), &output, overwrite)
    }

    fn manifest(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.roots.base().join("m/media.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn media(mime: &'static str, bytes: &[u8]) -> Media<'static> {
    Media { mime: Cow::Borrowed(mime), bytes: bytes.len() as u64, base64: Cow::Owned(STANDARD.encode(bytes)) }
}

#[test]
fn no_folder_is_made_for_nothing() {
    let folder = folder();
    assert_eq!(folder.media(false).finish().unwrap().count, 0);
    assert_eq!(std::fs::read_dir(folder.roots.base()).unwrap().count(), 0);
}

#[test]
fn a_file_is_named_by_its_content_before_its_type() {
    let folder = folder();
    let mut files = folder.media(false);
    let jpeg = b"\xFF\xD8\xFF\xE0 not much of one";
    assert_eq!(files.save("a", &[media("image/png", jpeg)]).unwrap(), [Some("m/a.jpg".to_owned())]);
    assert_eq!(files.save("b", &[media("text/plain", b"plain")]).unwrap(), [Some("m/b.txt".to_owned())]);
    assert_eq!(files.save("c", &[media("x/y", b"?")]).unwrap(), [Some("m/c.bin".to_owned())]);
    files.finish().unwrap();
    assert_eq!(folder.manifest()[0]["mime_type"], "image/jpeg");
}

#[test]
fn what_cannot_be_decoded_is_told_and_the_rest_is_written() {
    let folder = folder();
    let mut files = folder.media(false);
    let broken = Media { mime: Cow::Borrowed("image/png"), bytes: 3, base64: Cow::Borrowed("!!!!") };
    let saved = files.save("a", &[broken, media("text/plain", b"fine")]).unwrap();
    assert_eq!(saved, [None, Some("m/a-2.txt".to_owned())]);
    let done = files.finish().unwrap();
    assert_eq!(done.count, 1);
    assert!(done.warnings[0].contains("could not be decoded (a)"), "{:?}", done.warnings);
    assert_eq!(std::fs::read_dir(folder.roots.base().join("m")).unwrap().count(), 2);
}

#[test]
fn a_second_call_adds_to_the_manifest_and_takes_nobodys_file() {
    let folder = folder();
    let mut files = folder.media(false);
    files.save("A", &[media("text/plain", b"one")]).unwrap();
    files.finish().unwrap();
    let mut files = folder.media(false);
    let second = files.save("a", &[media("text/plain", b"two")]).unwrap();
    assert_ne!(second[0].as_deref().unwrap().to_lowercase(), "m/a.txt");
    files.finish().unwrap();
    let mut keys: Vec<_> = folder.manifest().iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect();
    keys.sort();
    assert_eq!(keys, ["A", "a"]);
}

#[test]
fn other_content_under_the_same_name_is_kept_unless_told() {
    let folder = folder();
    let write = |text: &[u8], overwrite| {
        let mut files = folder.media(overwrite);
        files.save("a", &[media("text/plain", text)]).and_then(|_| files.finish())
    };
    write(b"one", false).unwrap();
    write(b"one", false).unwrap();
    assert_eq!(write(b"two", false).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(folder.roots.base().join("m/a.txt")).unwrap(), b"one");
    write(b"two", true).unwrap();
    assert_eq!(std::fs::read(folder.roots.base().join("m/a.txt")).unwrap(), b"two");
    assert_eq!(folder.manifest().len(), 1);
}

#[test]
fn a_manifest_of_another_program_is_left_alone() {
    let folder = folder();
    std::fs::create_dir(folder.roots.base().join("m")).unwrap();
    std::fs::write(folder.roots.base().join("m/media.jsonl"), "{\"mine\": 1}\n").unwrap();
    let error = folder.media(true).save("a", &[media("text/plain", b"one")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[test]
fn a_link_in_the_folder_does_not_lead_out() {
    let (folder, outside) = (folder(), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink(outside.path(), folder.roots.base().join("m")).unwrap();
    assert_eq!(folder.roots.writable_folder("m").unwrap_err().kind(), ErrorKind::PathNotAllowed);
    std::fs::remove_file(folder.roots.base().join("m")).unwrap();
    std::fs::create_dir(folder.roots.base().join("m")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("a.txt"), folder.roots.base().join("m/a.txt")).unwrap();
    let error = folder.media(true).save("a", &[media("text/plain", b"one")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PathNotAllowed);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}
