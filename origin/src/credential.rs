//! What the origin shares with the edge, or with those who ask it.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Visible ASCII, so that it is the value of a header, and one word in a list of several.
#[derive(Clone)]
pub struct Credential(String);

impl Credential {
    /// The text itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether exactly this was given. How long that takes does not tell how much of it is right.
    pub(crate) fn is(&self, given: &[u8]) -> bool {
        let [own, given] = [self.0.as_bytes(), given].map(Sha256::digest);
        own.as_slice().ct_eq(given.as_slice()).into()
    }
}

impl FromStr for Credential {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("give one word of visible ASCII characters.".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// Does not show it, so that no log does.
impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credential")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_visible_word_and_is_not_shown() {
        for text in ["", "two words", "tab\t", "ö", "line\n"] {
            assert!(text.parse::<Credential>().is_err(), "{text:?}");
        }
        let credential: Credential = "a~!b".parse().unwrap();
        assert_eq!(format!("{credential:?}"), "Credential");
    }

    #[test]
    fn it_is_only_what_is_equal_to_it() {
        let credential: Credential = "secret".parse().unwrap();
        assert!(credential.is(b"secret"));
        for given in ["", "secre", "secret2", "Secret", " secret"] {
            assert!(!credential.is(given.as_bytes()), "{given:?}");
        }
    }
}
