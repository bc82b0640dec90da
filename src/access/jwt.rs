//! JSON Web Tokens in compact form (RFC 7519, RFC 7515): taken apart and looked at, but not believed.
//!
//! A token says by which algorithm it is signed, and is not asked: whoever reads one names the algorithm that it must
//! have. Nothing of a token counts before its signature holds.

use crate::rules::Seconds;
use crate::time::UnixMillis;
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::Value;

/// The greatest length of a token that is looked at, in bytes.
pub const GREATEST_LENGTH: usize = 8192;
/// How far the clocks of issuer and edge may be apart.
pub const TOLERANCE: Seconds = 10;

/// A token whose signature has not been looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Unverified<'t> {
    /// Which key its issuer says to have signed it with (RFC 7515, section 4.1.4).
    pub key_id: Option<String>,
    /// What is signed: header and payload as they stand.
    pub signed: &'t str,
    /// The signature.
    pub signature: Vec<u8>,
    payload: &'t str,
}

impl<'t> Unverified<'t> {
    /// Takes a token of this algorithm apart. Anything else is nothing: another algorithm, extensions that must be
    /// understood (RFC 7515, section 4.1.11), parts that are no unpadded base64url.
    #[must_use]
    pub fn parse(token: &'t str, algorithm: &str) -> Option<Self> {
        if token.len() > GREATEST_LENGTH {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if payload.contains('.') {
            return None;
        }
        let header = object(header)?;
        let word = |name: &str| header.get(name).and_then(Value::as_str);
        let is_jwt =
            header.get("typ").is_none_or(|kind| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("JWT")));
        if word("alg") != Some(algorithm) || !is_jwt || header.get("crit").is_some() {
            return None;
        }
        let signature = Base64UrlUnpadded::decode_vec(signature).ok()?;
        Some(Self { key_id: word("kid").map(String::from), signed, signature, payload })
    }

    /// What it claims. To be asked only of a token whose signature holds.
    #[must_use]
    pub fn claims(&self) -> Option<Claims> {
        object(self.payload).map(Claims)
    }
}

/// A part of a token: a JSON object in unpadded base64url.
fn object(part: &str) -> Option<Value> {
    let value: Value = serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).ok()?).ok()?;
    value.is_object().then_some(value)
}

/// What a token claims.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims(pub Value);

impl Claims {
    /// A claim that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// What stands at the end of a path through it.
    pub fn at<'p>(&self, mut path: impl Iterator<Item = &'p str>) -> Option<&Value> {
        path.try_fold(&self.0, |value, member| value.get(member))
    }

    /// Whether it is for one of these (RFC 7519, section 4.1.3).
    #[must_use]
    pub fn is_for(&self, audiences: &[String]) -> bool {
        let ours = |value: &Value| value.as_str().is_some_and(|name| audiences.iter().any(|other| other == name));
        match self.0.get("aud") {
            Some(Value::Array(names)) => names.iter().any(ours),
            Some(name) => ours(name),
            None => false,
        }
    }

    /// Until when it holds, exclusive, if it does now (RFC 7519, sections 4.1.4 and 4.1.5). A token without an end
    /// never holds; a time that is no number makes it not hold.
    #[must_use]
    pub fn holds_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        let tolerance = u64::from(TOLERANCE) * 1000;
        let end = UnixMillis(millis(self.0.get("exp")?)?.saturating_add(tolerance));
        let begin = self.0.get("nbf").map_or(Some(0), millis)?;
        (now < end && begin <= now.0.saturating_add(tolerance)).then_some(end)
    }
}

/// A `NumericDate` (RFC 7519, section 2) in milliseconds.
fn millis(date: &Value) -> Option<u64> {
    if let Some(seconds) = date.as_u64() {
        return Some(seconds.saturating_mul(1000));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is not negative, and what is too great saturates"
    )]
    date.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| (seconds * 1000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::{Base64UrlUnpadded, Claims, Unverified};
    use crate::time::UnixMillis;
    use alloc::string::{String, ToString as _};
    use base64ct::Encoding as _;
    use serde_json::{Value, json};

    fn part(value: &Value) -> String {
        Base64UrlUnpadded::encode_string(value.to_string().as_bytes())
    }

    fn token(header: &Value) -> String {
        format!("{}.{}.AAAA", part(header), part(&json!({ "sub": "1" })))
    }

    #[test]
    fn a_token_is_taken_apart() {
        let text = token(&json!({ "alg": "HS256", "typ": "jwt", "kid": "k" }));
        let token = Unverified::parse(&text, "HS256").unwrap();
        assert_eq!(token.key_id.as_deref(), Some("k"));
        assert_eq!(token.signature, [0, 0, 0]);
        assert_eq!(format!("{}.AAAA", token.signed), text);
        assert_eq!(token.claims().unwrap().text("sub"), Some("1"));
    }

    #[test]
    fn another_algorithm_or_form_is_no_token() {
        for header in [
            json!({}),
            json!({ "alg": "none" }),
            json!({ "alg": "HS512" }),
            json!({ "alg": "hs256" }),
            json!({ "alg": "RS256" }),
            json!({ "alg": ["HS256"] }),
            json!({ "alg": "HS256", "typ": "JWE" }),
            json!({ "alg": "HS256", "typ": 1 }),
            json!({ "alg": "HS256", "crit": ["exp"], "exp": 1 }),
            json!(["HS256"]),
        ] {
            assert_eq!(Unverified::parse(&token(&header), "HS256"), None, "{header}");
        }
        let good = token(&json!({ "alg": "HS256" }));
        for wrong in [
            String::new(),
            "..".into(),
            format!("{good}="),
            format!("{good}.AAAA"),
            format!(".{good}"),
            good.replace(".AAAA", ""),
            good.replace("AAAA", "AAA+"),
            good.replace("AAAA", "A"),
            format!(" {good}"),
            format!("{good}{}", "A".repeat(8192)),
        ] {
            assert_eq!(Unverified::parse(&wrong, "HS256"), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_held_to_with_ten_seconds_of_tolerance() {
        let holds = |claims: Value, now: u64| Claims(claims).holds_until(UnixMillis(now)).map(|until| until.0);
        let claims = || json!({ "exp": 160, "nbf": 100 });
        for (now, until) in [(89_999, None), (90_000, Some(170_000)), (169_999, Some(170_000)), (170_000, None)] {
            assert_eq!(holds(claims(), now), until, "{now}");
        }
        assert_eq!(holds(json!({ "exp": 160.5 }), 0), Some(170_500));
        assert_eq!(holds(json!({ "exp": u64::MAX }), 0), Some(u64::MAX));
        for wrong in [
            json!({}),
            json!({ "exp": "160" }),
            json!({ "exp": -1 }),
            json!({ "exp": 160, "nbf": "0" }),
            json!({ "exp": null }),
        ] {
            assert_eq!(holds(wrong.clone(), 0), None, "{wrong}");
        }
    }

    #[test]
    fn an_audience_is_one_text_or_one_of_a_list() {
        let audiences = [String::from("a"), "b".into()];
        for (claims, is_for) in [
            (json!({ "aud": "a" }), true),
            (json!({ "aud": ["x", "b"] }), true),
            (json!({ "aud": "A" }), false),
            (json!({ "aud": "" }), false),
            (json!({ "aud": [] }), false),
            (json!({ "aud": { "a": 1 } }), false),
            (json!({}), false),
        ] {
            assert_eq!(Claims(claims.clone()).is_for(&audiences), is_for, "{claims}");
        }
    }
}
