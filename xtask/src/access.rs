//! `cargo xtask dev --access session`: what both servers share, which shops the edge serves, and how to ask it.

use crate::args::Dev;
use crate::failure::{Failure, Outcome};
use crate::http::ask;

/// What the reference origin is started with: as [`VARIABLES`] has it.
pub const ORIGIN_FLAGS: [&str; 6] =
    ["--app-key", "dev-app-key", "--app-secret", "dev-app-secret", "--edge-secret", "dev-origin-secret"];

/// What the Worker is started with. It comes before wrangler.toml and .dev.vars, so both sides agree whatever these say.
pub const VARIABLES: [&str; 4] = [
    "ACCESS_MODE:session",
    "SESSION_AUDIENCE:dev-app-key",
    "SESSION_SECRETS:dev-app-secret",
    "ORIGIN_SECRET:dev-origin-secret",
];

/// The operator's token of .dev.vars.example, as a header field.
const OPERATOR: &str = "Authorization: Bearer dev-operator-token\r\n";

/// Lists the origin's shops at the edge, which serves no others, and says which these are.
pub fn list_shops(options: Dev) -> Outcome<Vec<String>> {
    let shops = ask(options.origin, "GET", "/dev/shops", "", "").ok().and_then(|(_, body)| shops(&body));
    let shops = shops.ok_or_else(|| Failure::new("the reference origin does not say which shops it has"))?;
    for shop in &shops {
        let listing = format!("{{\"tenant\":\"{shop}\",\"listed\":true}}");
        let refused = match ask(options.edge, "PUT", "/cache/listing", OPERATOR, &listing) {
            Ok((200, _)) => continue,
            Ok((401, _)) => {
                "it does not know `dev-operator-token`: add its SHA-256 in .dev.vars, as .dev.vars.example has it"
                    .to_owned()
            }
            Ok((status, body)) => format!("it answered {status} {body}"),
            Err(error) => error.to_string(),
        };
        return Err(Failure::new(format!("could not list {shop} at the edge: {refused}")));
    }
    Ok(shops)
}

/// Reads `{"shops":["a.myshopify.com"]}`, host names, which hold nothing that JSON would escape.
fn shops(body: &str) -> Option<Vec<String>> {
    let list = body.split_once("{\"shops\":[\"")?.1.strip_suffix("\"]}")?;
    Some(list.split("\",\"").map(str::to_owned).collect())
}

/// What a newcomer does first, where a session token says whose figures are read.
pub fn try_session(Dev { edge, origin, .. }: Dev, shops: &[String]) -> String {
    let shop = shops.first().map_or("", String::as_str);
    let shops = shops.join("\n  ");
    format!(
        "The edge answers who shows a session token of one of these shops, and the origin answers the edge alone:

  {shops}

Try (a token is valid for an hour here, a minute without lifetime=; the second one twice: a miss, then a hit):

  TOKEN=$(curl -s 'http://127.0.0.1:{origin}/dev/session-token?shop={shop}&lifetime=3600' | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')
  curl -i -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:{edge}/api/dashboard/tiles/sales-pulse
  curl -i http://127.0.0.1:{edge}/api/dashboard/tiles/sales-pulse
  curl -s http://127.0.0.1:{origin}/dev/requests
"
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::args::Access;

    #[test]
    fn the_origins_shops_are_read() {
        let two = ["a.test", "b.test"].map(str::to_owned).to_vec();
        assert_eq!(shops(r#"{"shops":["a.test","b.test"]}"#), Some(two));
        assert_eq!(shops(r#"{"shops":["a.test"]}"#), Some(vec!["a.test".to_owned()]));
        for body in ["", "{}", r#"{"shops":[]}"#, r#"{"error":"no"}"#] {
            assert_eq!(shops(body), None, "{body}");
        }
    }

    #[test]
    fn both_sides_are_told_the_same() {
        let told = |flag: &str| ORIGIN_FLAGS.chunks(2).find(|pair| pair[0] == flag).map(|pair| pair[1]);
        for (flag, name) in
            [("--app-key", "SESSION_AUDIENCE"), ("--app-secret", "SESSION_SECRETS"), ("--edge-secret", "ORIGIN_SECRET")]
        {
            let variable = VARIABLES.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix(':'));
            assert!(variable.is_some() && variable == told(flag), "{name}");
        }
    }

    #[test]
    fn the_welcome_names_every_shop_and_its_line_finds_the_token() {
        let options = Dev { edge: 9000, origin: 9001, access: Access::Session };
        let text = try_session(options, &["a.test", "b.test"].map(str::to_owned));
        assert!(text.contains("\n  a.test\n  b.test\n") && text.contains("?shop=a.test&"), "{text}");
        let sed = text.split_once("| ").unwrap().1.split_once(")\n").unwrap().0;
        let script = format!(r#"echo '{{"expires_at":"2026","token":"a.b-_.c"}}' | {sed}"#);
        let found = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(found.stdout).unwrap(), "a.b-_.c\n");
    }
}
