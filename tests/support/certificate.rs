//! A certificate for localhost, good for a hundred years, made for these tests alone.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The certificate, as clients that trust it take it.
pub fn trusted() -> Vec<u8> {
    STANDARD.decode(CERTIFICATE).unwrap()
}

/// Writes certificate and key to files.
pub fn files(folder: &Path) -> [PathBuf; 2] {
    let files = [folder.join("cert.pem"), folder.join("key.pem")];
    std::fs::write(&files[0], pem("CERTIFICATE", CERTIFICATE)).unwrap();
    std::fs::write(&files[1], pem("PRIVATE KEY", KEY)).unwrap();
    files
}

/// Writes the key of another certificate to a file.
pub fn other_key(folder: &Path) -> PathBuf {
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
    let random = ring::rand::SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let file = folder.join("other_key.pem");
    std::fs::write(&file, pem("PRIVATE KEY", &STANDARD.encode(key))).unwrap();
    file
}

fn pem(label: &str, base64: &str) -> String {
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

const CERTIFICATE: &str = concat!(
    "MIIBkzCCATigAwIBAgIUdKaFAYTJ0+e+k/E479jbe62f+3swCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2",
    "MTEyNTAzMTAxOVoYDzIxMjYxMTAxMDMxMDE5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC",
    "AAQ75lhuua6SOC2Ic82A0yn31wbnRdpE/ewqmMm4P915gwjXNrOovw1vN+6tCRpiIdw+OJDrwwCOewf73O2oXQ9go2YwZDAdBgNV",
    "HQ4EFgQUqB20TcFZT478hC8F5WJfnfLpWOAwHwYDVR0jBBgwFoAUqB20TcFZT478hC8F5WJfnfLpWOAwFAYDVR0RBA0wC4IJbG9j",
    "YWxob3N0MAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0EAwIDSQAwRgIhAJtFkL7dL+Cn19RSFUJscV/6rp/gA76O09FnIsTA7c1sAiEA",
    "vjmatCxDMJCoMXsRtr99n8HG/TWQbG2KZw7uIo8pTtw=",
);
const KEY: &str = concat!(
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg9Y3EHuSu6wJwsniui5dcK+wkSBziTvJzwT0TBxbt3MGhRANCAAQ7",
    "5lhuua6SOC2Ic82A0yn31wbnRdpE/ewqmMm4P915gwjXNrOovw1vN+6tCRpiIdw+OJDrwwCOewf73O2oXQ9g",
);
