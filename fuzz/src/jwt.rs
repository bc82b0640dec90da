//! Credentials: a header and, on the lines behind it, a payload, which are signed; or a whole token, which is not.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hotrod_edge::access::assertion::Assertions;
use hotrod_edge::access::jwt::Unverified;
use hotrod_edge::access::session::{SessionTokens, shop};
use hotrod_edge::time::UnixMillis;
use serde_json::Value;
use sha2::Sha256;

const SECRET: &str = "a-secret-of-the-app";
const AUDIENCE: &str = "key";

pub(crate) fn check(input: &[u8]) {
    let tokens = SessionTokens::read(SECRET, AUDIENCE).expect("settings that are right");
    if let Ok(text) = std::str::from_utf8(input) {
        check_whole(&tokens, text);
    }
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (header, payload) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let part = Base64UrlUnpadded::encode_string;
    let signed = format!("{}.{}", part(header), part(payload));
    let token = format!("{signed}.{}", part(&signature(&signed)));
    let Some(claims) = tokens.verify(&token) else { return };
    let header: Value = serde_json::from_slice(header).expect("a header that was believed is JSON");
    assert!(header["alg"] == "HS256" && header.get("crit").is_none(), "{header}");
    assert!(claims.is_for(&[AUDIENCE.to_owned()]));
    for now in [0, 1_774_915_200_000, u64::MAX] {
        if let Some(until) = claims.holds_until(UnixMillis(now)) {
            assert!(until.0 > now);
        }
    }
    if let Some(shop) = shop(&claims) {
        assert_eq!(claims.0["dest"], format!("https://{}", shop.as_str()));
    }
    let assertions =
        Assertions::read("https://team.test".into(), AUDIENCE, r#"{"claim":"email","map":{"@a.test":"a.test"}}"#);
    if let Some(tenant) = assertions.expect("settings that are right").tenant(&claims) {
        assert!(tenant.as_str() == "a.test" && claims.text("email").is_some_and(|email| email.ends_with("@a.test")));
    }
    // No other token of the same bytes is believed.
    for cut in [1, 2, 10, 42] {
        let cut = token.len() - cut;
        assert_eq!(tokens.verify(&token[..cut]), None);
    }
}

/// A token as it came is believed only if its signature holds.
fn check_whole(tokens: &SessionTokens, token: &str) {
    let read = Unverified::parse(token, "RS256").or_else(|| Unverified::parse(token, "HS256"));
    if let Some(read) = &read {
        assert_eq!(token, format!("{}.{}", read.signed, Base64UrlUnpadded::encode_string(&read.signature)));
    }
    if tokens.verify(token).is_some() {
        let read = read.expect("what was believed was read");
        assert_eq!(read.signature, signature(read.signed));
    }
}

fn signature(signed: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
    mac.update(signed.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
