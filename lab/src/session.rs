//! Session tokens as the shop's admin issues them (HS256), good ones and all kinds of bad ones.

use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// The secret with which the app's session tokens are signed.
pub const SESSION_SECRET: &str = "session-secret-for-tests-0123456789";
/// The app for which they are.
pub const SESSION_AUDIENCE: &str = "app-key-for-tests";
/// The variables of mode `session`.
pub(crate) const VARS: [(&str, &str); 3] =
    [("ACCESS_MODE", "session"), ("SESSION_SECRETS", SESSION_SECRET), ("SESSION_AUDIENCE", SESSION_AUDIENCE)];
/// A shop of the deployment.
pub const ANNS: &str = "anns.myshopify.com";
/// Another one.
pub const BENS: &str = "bens.myshopify.com";

/// A session token before it is signed.
#[derive(Clone, Debug)]
pub struct Session {
    header: Value,
    claims: Value,
    secret: String,
}

impl Session {
    /// A good one, of this shop, for the next minute.
    pub fn of(shop: &str) -> Self {
        let now = now();
        let claims = json!({
            "iss": format!("https://{shop}/admin"), "dest": format!("https://{shop}"), "aud": SESSION_AUDIENCE,
            "sub": "42", "exp": now + 60, "nbf": now - 1, "iat": now - 1, "jti": "a-token-for-tests", "sid": "a-session",
        });
        Self { header: json!({"alg": "HS256", "typ": "JWT"}), claims, secret: SESSION_SECRET.to_owned() }
    }

    /// The same with another claim, or without it if it is null.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    /// The same with another parameter of the header, or without it if it is null.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    /// The same, good for so many seconds from now, which may be over.
    pub fn expires_in(self, seconds: i64) -> Self {
        self.claim("exp", now() + seconds)
    }

    /// The same, signed with another secret.
    pub fn signed_with(mut self, secret: &str) -> Self {
        secret.clone_into(&mut self.secret);
        self
    }

    /// Header and claims, unsigned.
    pub fn signing_input(&self) -> String {
        let part = |json: &Value| Base64UrlUnpadded::encode_string(json.to_string().as_bytes());
        format!("{}.{}", part(&self.header), part(&self.claims))
    }

    /// The signature.
    pub fn signature(&self) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("a key of any length will do");
        mac.update(self.signing_input().as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    /// The token.
    pub fn token(&self) -> String {
        format!("{}.{}", self.signing_input(), Base64UrlUnpadded::encode_string(&self.signature()))
    }

    /// The value of an Authorization field.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token())
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    i64::try_from(now).expect("a clock of this age")
}

fn set(object: &mut Value, name: &str, value: Value) {
    let members = object.as_object_mut().expect("an object");
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
}
