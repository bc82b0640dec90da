//! A webhook as text: its source, a line for each header field, an empty line, and the body.
//!
//! In a field, `{sign}` stands for the right signature of one sender and `{other}` for that of another, and `{now}`
//! for the time. Nothing else is signed, so nothing else may be believed.

use std::sync::OnceLock;

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hotrod_edge::key::Tenant;
use hotrod_edge::rules::compiled;
use hotrod_edge::time::UnixMillis;
use hotrod_edge::validation::digest;
use hotrod_edge::webhook::{Refused, Webhooks, receive};
use sha2::Sha256;

/// In seconds.
const NOW: u64 = 1_774_915_200;

const SETTING: &str = r#"{
    "standard": [{"secret": "whsec_c3RhbmRhcmQsIHRoZSBmaXJzdA==", "tenants": ["a.test", "gone.test"]},
                 {"secret": "whsec_c3RhbmRhcmQsIHRoZSBuZXh0", "tenants": ["b.test"]}],
    "shopify": [{"secret": "shopify, the first", "tenant": "a.test"},
                {"secret": "shopify, another shop", "tenant": "b.test"}],
    "chatwoot": [{"secret": "chatwoot, one account", "accounts": {"1": "a.test"}},
                 {"secret": "chatwoot, two accounts", "accounts": {"2": "a.test", "3": "b.test"}}]
}"#;

/// Who may sign by the setting, and for whom.
struct Sender {
    source: &'static str,
    secret: &'static str,
    tenants: &'static [&'static str],
}

/// Two of each source.
const SENDERS: [Sender; 6] = [
    Sender { source: "standard", secret: "standard, the first", tenants: &["a.test"] },
    Sender { source: "standard", secret: "standard, the next", tenants: &["b.test"] },
    Sender { source: "shopify", secret: "shopify, the first", tenants: &["a.test"] },
    Sender { source: "shopify", secret: "shopify, another shop", tenants: &["b.test"] },
    Sender { source: "chatwoot", secret: "chatwoot, one account", tenants: &["a.test"] },
    Sender { source: "chatwoot", secret: "chatwoot, two accounts", tenants: &["a.test", "b.test"] },
];

pub(crate) fn check(input: &[u8]) {
    let end = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
    let (head, body) = (&input[..end], input.get(end + 2..).unwrap_or_default());
    // As a runtime hands a field over: each byte one character.
    let head: String = head.iter().copied().map(char::from).collect();
    let mut lines = head.split('\n');
    let source = lines.next().unwrap_or_default();
    let mut message = Message { source, fields: Vec::new(), body };
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        message.fields.push((name, value.replace("{now}", &NOW.to_string())));
    }
    // Signed are the fields as they are now; those that sign are not among what they sign.
    let signatures: Vec<String> = message.senders().map(|sender| message.signature(sender)).collect();
    for (_, value) in &mut message.fields {
        for (place, signature) in ["{sign}", "{other}"].into_iter().zip(&signatures) {
            *value = value.replace(place, signature);
        }
    }
    message.check();
}

struct Message<'a> {
    source: &'a str,
    fields: Vec<(&'a str, String)>,
    body: &'a [u8],
}

impl Message<'_> {
    /// All lines of a name, joined as the runtime joins them.
    fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.fields.iter().filter(|(other, _)| *other == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn one(&self, name: &str) -> String {
        self.header(name).filter(|value| !value.contains(", ")).unwrap_or_default()
    }

    /// Those of its source.
    fn senders(&self) -> impl Iterator<Item = &'static Sender> + use<> {
        let source = self.source.to_owned();
        SENDERS.iter().filter(move |sender| sender.source == source)
    }

    /// What a sender would sign it with, as it stands in the field.
    fn signature(&self, sender: &Sender) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(sender.secret.as_bytes()).expect("a key of any length");
        match self.source {
            "standard" => {
                mac.update(format!("{}.{}.", self.one("webhook-id"), self.one("webhook-timestamp")).as_bytes());
            }
            "chatwoot" => mac.update(format!("{}.", self.one("x-chatwoot-timestamp")).as_bytes()),
            _ => {}
        }
        mac.update(self.body);
        let code = mac.finalize().into_bytes();
        match self.source {
            "standard" => format!("v1,{}", Base64::encode_string(&code)),
            "chatwoot" => code.iter().fold(String::from("sha256="), |text, byte| format!("{text}{byte:02x}")),
            _ => Base64::encode_string(&code),
        }
    }

    /// Whose signature it carries.
    fn signer(&self) -> Option<&'static Sender> {
        let field = self.one(match self.source {
            "standard" => "webhook-signature",
            "chatwoot" => "x-chatwoot-signature",
            _ => "x-shopify-hmac-sha256",
        });
        let carried: Vec<&str> =
            if self.source == "standard" { field.split(' ').take(16).collect() } else { vec![&field] };
        // Of several that sign the last one counts.
        self.senders().filter(|sender| carried.contains(&self.signature(sender).as_str())).last()
    }

    fn check(&self) {
        static WEBHOOKS: OnceLock<Webhooks> = OnceLock::new();
        let webhooks = WEBHOOKS.get_or_init(|| Webhooks::parse(SETTING).expect("a setting"));
        let is_listed = |tenant: &Tenant| tenant.as_str() != "gone.test";
        let now = UnixMillis(NOW * 1000);
        let received = receive(self.source, |name| self.header(name), self.body, now, webhooks, compiled(), is_listed);
        match (received, self.signer()) {
            (Err(Refused::UnknownSource), _) => {
                assert_eq!(self.senders().count(), 0, "{}", self.source);
            }
            (Err(Refused::Unauthorized), signer) => assert!(signer.is_none(), "it is signed"),
            (received, None) => panic!("it is not signed: {received:?}"),
            (Err(Refused::Unreadable(_) | Refused::Foreign(_)), Some(_)) => {}
            (Ok(delivery), Some(signer)) => {
                assert!(signer.tenants.contains(&delivery.tenant.as_str()), "{delivery:?}");
                assert_eq!(delivery.digest, digest(self.body));
                assert!((1..=256).contains(&delivery.id.len()), "{delivery:?}");
                let time = match self.source {
                    "standard" => self.one("webhook-timestamp"),
                    "chatwoot" => self.one("x-chatwoot-timestamp"),
                    _ => NOW.to_string(),
                };
                assert!(time.parse::<u64>().is_ok_and(|time| time.abs_diff(NOW) <= 300), "{time}");
            }
        }
    }
}
