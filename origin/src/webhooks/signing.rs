//! The signature of Standard Webhooks: HMAC-SHA256 over the message's id, the moment of the attempt and the body.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What every secret begins with.
const PREFIX: &str = "whsec_";
/// The edge refuses a key with fewer bytes.
const LEAST_BYTES: usize = 16;

/// The key that the origin shares with the edge.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl Secret {
    /// The `webhook-signature` of one attempt.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let key = text.strip_prefix(PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        key.filter(|key| key.len() >= LEAST_BYTES)
            .and_then(|key| Hmac::new_from_slice(&key).ok())
            .map(Self)
            .ok_or(format!("a secret is {PREFIX} and then {LEAST_BYTES} bytes or more in base64."))
    }
}

/// Does not show the key, so that no log does.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_the_standard_does() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_repeating_it() {
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_MfKQ9r8GKYqrTwjUPD8IL!"]
        {
            let sentence = text.parse::<Secret>().unwrap_err();
            assert!(sentence.ends_with('.') && (text.len() < 7 || !sentence.contains(text)), "{text}: {sentence}");
        }
        assert_eq!(format!("{:?}", crate::DEFAULT_WEBHOOK_SECRET.parse::<Secret>()), "Ok(Secret)");
    }
}
