//! Epoch tokens: a position of a tenant's ledger, signed, for whoever caused or heard of a change.
//!
//! Sent back in `X-Newer-Than`, a token says: answer with nothing that is older than this. Without the signature
//! anybody could make the edge ask its ledger at will, or believe in a future that never comes.
//!
//! As text: the position in decimal digits, a dot, and the first half of HMAC-SHA256 (RFC 2104) in hexadecimal.

use crate::epoch::Epoch;
use crate::key::Tenant;
use crate::validation::hex;
use alloc::string::String;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// The secret with which a deployment signs its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSecret(String);

impl TokenSecret {
    /// Takes a secret of at least 16 bytes.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        (secret.len() >= 16).then(|| Self(secret.into()))
    }

    /// The token of a position.
    #[must_use]
    pub fn sign(&self, tenant: &Tenant, epoch: Epoch) -> String {
        format!("{epoch}.{}", self.signature(tenant, epoch))
    }

    /// The position of a token that was signed for this tenant.
    #[must_use]
    pub fn verify(&self, tenant: &Tenant, token: &str) -> Option<Epoch> {
        let epoch = Epoch(token.split('.').next()?.parse().ok()?);
        let right = self.sign(tenant, epoch);
        bool::from(right.as_bytes().ct_eq(token.as_bytes())).then_some(epoch)
    }

    fn signature(&self, tenant: &Tenant, epoch: Epoch) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()) else { return String::new() };
        mac.update(format!("hotrod-edge epoch\n{}\n{epoch}", tenant.as_str()).as_bytes());
        hex(mac.finalize().into_bytes().get(..16).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::TokenSecret;
    use crate::epoch::Epoch;
    use crate::key::Tenant;
    use alloc::string::String;

    #[test]
    fn a_token_is_good_for_its_tenant_position_and_secret() {
        let secret = TokenSecret::new("sixteen bytes or more").unwrap();
        let (tenant, other) = (Tenant::new("a.test").unwrap(), Tenant::new("b.test").unwrap());
        let token = secret.sign(&tenant, Epoch(1_234));
        assert_eq!(secret.verify(&tenant, &token), Some(Epoch(1_234)));
        assert_eq!(secret.verify(&other, &token), None);
        assert_eq!(TokenSecret::new("another secret, as long").unwrap().verify(&tenant, &token), None);
        for index in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[index] ^= 1;
            assert_eq!(secret.verify(&tenant, &String::from_utf8_lossy(&changed)), None);
        }
        for wrong in
            ["", ".", "1234", "1234.", &token.to_uppercase(), &format!("{token} "), &token.replace("1234", "01234")]
        {
            assert!(secret.verify(&tenant, wrong).is_none() || wrong == token, "{wrong}");
        }
    }

    #[test]
    fn the_text_is_pinned() {
        let secret = TokenSecret::new("sixteen bytes or more").unwrap();
        let token = secret.sign(&Tenant::new("a.test").unwrap(), Epoch(1));
        assert_eq!(token, "1.42fe4cdbf32c5b4e260bdc7766fb04ca");
    }

    #[test]
    fn a_short_secret_is_none() {
        assert_eq!(TokenSecret::new("fifteen bytes.."), None);
    }
}
