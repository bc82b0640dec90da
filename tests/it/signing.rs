//! Credentials as their issuers sign them: Shopify's session tokens, and Cloudflare Access's assertions.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use lab::issuer::test_key;
use serde_json::{Value, json};
use sha2::Sha256;

/// The shop of most tests.
pub const SHOP: &str = "shop.test";
/// The app's API key.
pub const AUDIENCE: &str = "the-apps-key";
/// The team of Cloudflare Access.
pub const TEAM: &str = "https://team.test";

/// What a credential says, and what it is signed with.
#[derive(Debug, Clone)]
pub struct Token {
    pub header: String,
    pub shop: String,
    pub issuer: String,
    pub team: String,
    pub audience: String,
    pub user: String,
    /// In JSON.
    pub role: String,
    pub not_before: u64,
    pub expires: u64,
    pub secret: String,
    pub key: &'static str,
}

impl Token {
    /// A good one for the next minute.
    pub fn new(now: u64, shop: &str) -> Self {
        Self {
            header: r#"{"alg":"HS256","typ":"JWT"}"#.into(),
            shop: shop.into(),
            issuer: format!("https://{shop}/admin"),
            team: TEAM.into(),
            audience: String::new(),
            user: "1".into(),
            role: "null".into(),
            not_before: now,
            expires: now + 60,
            secret: "the-apps-secret".into(),
            key: "one",
        }
    }

    fn audience(&self, usual: &str) -> String {
        if self.audience.is_empty() { usual.into() } else { self.audience.clone() }
    }
}

/// What of a token is signed.
fn parts(header: &str, claims: &Value) -> String {
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    format!("{}.{}", part(header), part(&claims.to_string()))
}

/// A token with this header and these claims, by HMAC with SHA-256 whatever the header says.
pub fn by_hmac(header: &str, claims: &Value, secret: &[u8]) -> String {
    let signed = parts(header, claims);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&mac.finalize().into_bytes()))
}

/// The same, by RSA with SHA-256.
pub fn by_rsa(header: &str, claims: &Value, key: &str) -> String {
    let signed = parts(header, claims);
    let signature = test_key(key).sign(signed.as_bytes());
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature))
}

/// A session token.
pub fn session(token: &Token) -> String {
    let claims = json!({
        "iss": token.issuer, "dest": format!("https://{}", token.shop), "aud": token.audience(AUDIENCE), "sub": token.user,
        "exp": token.expires, "nbf": token.not_before, "iat": token.not_before, "jti": "j", "sid": "s",
    });
    by_hmac(&token.header, &claims, token.secret.as_bytes())
}

/// An assertion.
pub fn assertion(token: &Token) -> String {
    let role: Value = serde_json::from_str(&token.role).expect("JSON");
    let claims = json!({
        "iss": token.team, "aud": [token.audience("the-tag")], "sub": token.user, "exp": token.expires + 120,
        "nbf": token.not_before, "iat": token.not_before, "type": "app", "email": "ann@shop.test",
        "custom": { "shop": token.shop, "role": role },
    });
    by_rsa(&token.header, &claims, token.key)
}
