//! Shopify's session tokens: HS256 under the secret of the app, for one shop and one minute.

use super::jwt::{Claims, Unverified};
use crate::key::Tenant;
use crate::names::setting;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The greatest number of secrets: one, and another while it is rotated.
const SECRETS_AT_MOST: usize = 2;
/// The least length of a secret, in bytes.
const SECRET_LEAST_LENGTH: usize = 8;

/// What session tokens are verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionTokens {
    secrets: Vec<String>,
    /// The app's API key, as the one audience.
    audiences: [String; 1],
}

impl SessionTokens {
    /// Reads the app's secrets, separated by white space, and its API key.
    ///
    /// # Errors
    /// What is wrong with them. The sentence repeats no secret.
    pub fn read(secrets: &str, audience: &str) -> Result<Self, String> {
        let secrets: Vec<String> = secrets.split_whitespace().map(String::from).collect();
        let long = secrets.iter().all(|secret| secret.len() >= SECRET_LEAST_LENGTH);
        if secrets.is_empty() || secrets.len() > SECRETS_AT_MOST || !long {
            return Err(format!(
                "{} must be the app's client secret, or two while one is rotated, separated by a space, each of {SECRET_LEAST_LENGTH} characters or more.",
                setting::SESSION_SECRETS
            ));
        }
        let audience = audience.trim();
        if !audience.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("{} must be the app's API key, without spaces.", setting::SESSION_AUDIENCE));
        }
        Ok(Self { secrets, audiences: [audience.to_string()] })
    }

    /// What a token claims, if one of the secrets signed it for this app.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<Claims> {
        let token = Unverified::parse(token, "HS256")?;
        // Each secret is tried whole, in constant time.
        let holds = self.secrets.iter().fold(false, |holds, secret| holds | signs(secret, &token));
        holds.then(|| token.claims())?.filter(|claims| claims.is_for(&self.audiences))
    }
}

fn signs(secret: &str, token: &Unverified<'_>) -> bool {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(token.signed.as_bytes());
    mac.verify_slice(&token.signature).is_ok()
}

/// The shop that a session is in: the host of `dest`, which that of `iss` must be as well.
#[must_use]
pub fn shop(claims: &Claims) -> Option<Tenant> {
    let host = |name: &str| claims.text(name)?.strip_prefix("https://");
    let shop = host("dest")?;
    let issuer = host("iss")?.strip_suffix("/admin")?;
    Tenant::new(shop).filter(|_| issuer == shop)
}

#[cfg(test)]
mod tests {
    use super::super::jwt::Claims;
    use super::{SessionTokens, shop};
    use alloc::string::{String, ToString as _};
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use serde_json::{Value, json};
    use sha2::Sha256;

    fn signed(header: &Value, claims: &Value, secret: &str) -> String {
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(&mac.finalize().into_bytes()))
    }

    #[test]
    fn either_secret_signs_and_nothing_else_does() {
        let tokens = SessionTokens::read("the-old-secret the-new-secret", "key").unwrap();
        let (header, claims) = (json!({ "alg": "HS256" }), json!({ "aud": "key" }));
        for secret in ["the-old-secret", "the-new-secret"] {
            assert_eq!(tokens.verify(&signed(&header, &claims, secret)), Some(Claims(claims.clone())));
        }
        for secret in ["", "the-old-secret the-new-secret", "the-old-secreT"] {
            assert_eq!(tokens.verify(&signed(&header, &claims, secret)), None, "{secret}");
        }
        assert_eq!(tokens.verify(&signed(&header, &json!({ "aud": "other" }), "the-old-secret")), None);
        assert_eq!(tokens.verify(&signed(&json!({ "alg": "none" }), &claims, "the-old-secret")), None);
        let good = signed(&header, &claims, "the-old-secret");
        let (unsigned, signature) = good.rsplit_once('.').unwrap();
        assert_eq!(tokens.verify(&format!("{unsigned}.")), None);
        assert_eq!(tokens.verify(&format!("{unsigned}.{}", signature.get(..40).unwrap())), None);
    }

    #[test]
    fn settings_are_one_or_two_secrets() {
        for (secrets, audience) in
            [("", "key"), ("short", "key"), ("a-secret-one a-secret-two a-secret-six", "key"), ("a-secret", "a b")]
        {
            assert!(SessionTokens::read(secrets, audience).is_err(), "{secrets:?} {audience:?}");
        }
    }

    #[test]
    fn the_shop_is_the_host_of_dest_and_iss() {
        let shop = |iss: &str, dest: &str| {
            shop(&Claims(json!({ "iss": iss, "dest": dest }))).map(|shop| String::from(shop.as_str()))
        };
        assert_eq!(
            shop("https://a.myshopify.com/admin", "https://a.myshopify.com").as_deref(),
            Some("a.myshopify.com")
        );
        for (iss, dest) in [
            ("https://b.myshopify.com/admin", "https://a.myshopify.com"),
            ("https://a.myshopify.com", "https://a.myshopify.com"),
            ("http://a.myshopify.com/admin", "http://a.myshopify.com"),
            ("https://a.myshopify.com/admin", "https://a.myshopify.com/"),
            ("https://A.myshopify.com/admin", "https://A.myshopify.com"),
            ("https://a/b/admin", "https://a/b"),
            ("https:///admin", "https://"),
            ("", ""),
        ] {
            assert_eq!(shop(iss, dest), None, "{iss} {dest}");
        }
    }
}
