//! Session tokens for development, as Shopify signs them for an embedded app: JWT (RFC 7519) with HS256.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{SubsecRound, TimeDelta};
use hmac::{Hmac, KeyInit, Mac, digest::InvalidLength};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{clock, credential::Credential};

/// How many seconds Shopify's own are valid.
pub(crate) const DEFAULT_LIFETIME: u16 = 60;

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// The app that the tokens are for.
#[derive(Debug)]
pub(crate) struct App {
    key: Credential,
    secret: Hmac<Sha256>,
}

/// A token, and when it ends.
#[derive(Debug, Serialize)]
pub(crate) struct Token {
    token: String,
    expires_at: String,
}

impl App {
    /// An app with its key, and with the secret that it shares with Shopify.
    pub(crate) fn new(key: Credential, secret: &Credential) -> Result<Self, InvalidLength> {
        Ok(Self { key, secret: Hmac::new_from_slice(secret.as_str().as_bytes())? })
    }

    /// A token for a user of a shop, valid for so many seconds. It is of the system's time even if the origin's
    /// clock was started at another: whoever checks it knows no other time.
    pub(crate) fn token(&self, shop: &str, user: &str, lifetime: u16) -> Token {
        let now = clock::system_now().trunc_subsecs(0);
        let end = now + TimeDelta::seconds(lifetime.into());
        let claims = json!({
            "iss": format!("https://{shop}/admin"),
            "dest": format!("https://{shop}"),
            "aud": self.key.as_str(),
            "sub": user,
            "exp": end.timestamp(),
            "nbf": now.timestamp(),
            "iat": now.timestamp(),
            "jti": format!("{:032x}", fastrand::u128(..)),
            // A session is a user's in a shop, and so the same in all tokens of both.
            "sid": URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{shop}/{user}"))),
        });
        Token { token: self.sign(HEADER, &claims.to_string()), expires_at: clock::text(end) }
    }

    /// The compact serialization of RFC 7515.
    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.secret.clone().chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_others_do() {
        let [key, secret] = ["any", "your-256-bit-secret"].map(|text| text.parse::<Credential>().unwrap());
        let claims = r#"{"sub":"1234567890","name":"John Doe","iat":1516239022}"#;
        assert_eq!(
            App::new(key, &secret).unwrap().sign(HEADER, claims),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
             eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.\
             SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
        );
    }
}
