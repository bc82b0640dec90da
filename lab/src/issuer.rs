//! An issuer of Cloudflare Access's assertions: keys that exist for tests alone, what it publishes of them, and what
//! it signs.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::{Value, json};

use crate::harness::url;
use crate::origin::{Answer, Origin};
use crate::session::now;

/// Where a team publishes its keys.
const CERTS: &str = "/cdn-cgi/access/certs";

/// A key pair by its name.
pub struct TestKey {
    name: &'static str,
    pair: KeyPair,
}

/// The key of this name: `one` or `two`.
pub fn test_key(name: &str) -> TestKey {
    let (name, bytes): (_, &[u8]) = match name {
        "one" => ("one", include_bytes!("../keys/one.pk8")),
        "two" => ("two", include_bytes!("../keys/two.pk8")),
        other => panic!("there is no key {other}"),
    };
    TestKey { name, pair: KeyPair::from_pkcs8(bytes).expect("a key in PKCS #8") }
}

impl TestKey {
    /// Signs by RSASSA-PKCS1-v1_5 with SHA-256.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature).expect("a signature");
        signature
    }

    /// What is published of it (RFC 7517).
    pub fn public(&self) -> Value {
        let PublicKeyComponents::<Vec<u8>> { n, e } = self.pair.public().into();
        let part = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
        json!({ "kid": self.name, "kty": "RSA", "alg": "RS256", "use": "sig", "n": part(&n), "e": part(&e) })
    }
}

/// What a team publishes at `/cdn-cgi/access/certs`.
pub fn key_set(names: &[&str]) -> String {
    let keys: Vec<Value> = names.iter().map(|name| test_key(name).public()).collect();
    json!({ "keys": keys, "public_cert": {}, "public_certs": [] }).to_string()
}

/// An assertion of these claims, signed with the key of this name.
pub fn assertion(key: &str, claims: &Value) -> String {
    signed(key, &json!({ "alg": "RS256", "kid": key, "typ": "JWT" }), claims)
}

/// The same with any header.
pub fn signed(key: &str, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(claims));
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&test_key(key).sign(signed.as_bytes())))
}

/// The application for which assertions are made.
pub const ACCESS_AUDIENCE: &str = "application-tag-for-tests";

/// A team that publishes its keys.
pub struct Team {
    origin: Origin,
}

impl Team {
    /// One that signs with `one`.
    pub fn start() -> Self {
        let team = Self { origin: Origin::start() };
        team.publish(&["one"]);
        team
    }

    /// The team's address, which is the issuer's name too.
    pub fn url(&self) -> String {
        url(self.origin.address())
    }

    /// From now on these are its keys.
    pub fn publish(&self, keys: &[&str]) {
        self.origin.answer(CERTS, Answer::bytes("application/json", key_set(keys)));
    }

    /// How often it was asked for its keys.
    pub fn asked(&self) -> usize {
        assert_eq!(self.origin.total(), self.origin.count(CERTS), "it was asked for nothing else");
        self.origin.total()
    }

    /// What it says of a reader of this shop, for the next minute.
    pub fn claims(&self, shop: &str) -> Value {
        json!({
            "iss": self.url(), "aud": [ACCESS_AUDIENCE], "sub": "42", "email": "reader@shop.example", "type": "app",
            "exp": now() + 60, "nbf": now() - 1, "iat": now() - 1, "custom": { "shop": shop },
        })
    }
}
