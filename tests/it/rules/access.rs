//! Rules about who may ask, and about what of an answer is kept.

use super::{check, check_added};

const LIVE: &str = "\n[[route]]\nname = \"now\"\npath = \"/api/now\"\nclass = \"live\"\n";
const OWNER: &str = "\n[[role]]\nname = \"owner\"\nclaim = \"custom.role\"\nvalues = [\"owner\"]\n";

#[test]
fn a_route_may_leave_the_decision_to_the_origin_only_if_it_is_never_stored() {
    check_added(&format!("{LIVE}auth = \"origin\"\n"), &[]);
    check_added(&format!("{LIVE}auth = \"edge\"\n"), &[]);
    check_added(
        &format!("{LIVE}auth = \"none\"\n"),
        &["rules.toml:33: route `now`: auth `none` is not known: say `edge` or `origin`"],
    );
    check(
        "hot = true\n",
        "hot = true\nauth = \"origin\"\n",
        &["rules.toml:23: route `ops`: auth = \"origin\" on a stored route: an answer from store asks no origin"],
    );
    check_added(
        &format!("{LIVE}auth = \"origin\"\nroles = [\"owner\"]\ninvalidates = {{ routes = [\"ops\"] }}\n{OWNER}"),
        &[
            "rules.toml:34: route `now`: `roles` are read from a credential, and with auth = \"origin\" the edge looks at none",
            "rules.toml:35: route `now`: `invalidates` needs a tenant, and with auth = \"origin\" there is none",
            "rules.toml:35: route `now`: `invalidates` belongs on a route of a class that is bypassed: what is written to",
        ],
    );
}

#[test]
fn a_role_has_a_name_a_claim_and_values_and_is_defined_before_it_is_asked_for() {
    check_added(&format!("{LIVE}roles = [\"owner\"]\n{OWNER}"), &[]);
    check_added(&format!("{LIVE}roles = [\"owner\"]\n"), &["rules.toml:33: route `now`: role `owner` is not defined"]);
    check_added(&format!("{OWNER}{OWNER}"), &["rules.toml:35: role `owner`: this name is taken by a role above"]);
    let role = |name: &str, claim: &str, values: &str| {
        format!("[[role]]\nname = \"{name}\"\nclaim = \"{claim}\"\nvalues = [{values}]\n")
    };
    check_added(
        &role("a/b", "custom..role", ""),
        &[
            "rules.toml:29: role `a/b`: a name has only letters, digits and `-._~`",
            "rules.toml:30: role `a/b`: claim `custom..role` is not a dotted path such as `custom.role`",
            "rules.toml:31: role `a/b`: it has no values, so nobody would ever have it",
        ],
    );
    let long = "x".repeat(33);
    check_added(
        &role(&long, "role", "\"a\""),
        &[&format!("rules.toml:29: role `{long}`: its name is part of keys, so it has at most 32 characters")],
    );
}

#[test]
fn a_class_keeps_no_field_that_is_not_the_answers_own() {
    let kept = |fields: &str| format!("snapshot_bound = 60\nresponse_fields = [{fields}]\n");
    check("snapshot_bound = 60\n", &kept("\"x-data-as-of\", \"content-disposition\""), &[]);
    for name in [
        "set-cookie",
        "cache-control",
        "vary",
        "etag",
        "connection",
        "transfer-encoding",
        "access-control-allow-origin",
        "strict-transport-security",
        "content-security-policy",
        "clear-site-data",
        "alt-svc",
        "cf-ray",
        "edge-secret",
    ] {
        check(
            "snapshot_bound = 60\n",
            &kept(&format!("\"{name}\"")),
            &[&format!(
                "rules.toml:11: class `near`: response field `{name}` is about one answer, one client or the whole host: \
                 it is never kept"
            )],
        );
    }
    for name in ["X-Data", "x data", ""] {
        check(
            "snapshot_bound = 60\n",
            &kept(&format!("\"{name}\"")),
            &[&format!("rules.toml:11: class `near`: response field `{name}` is not a name in lower case")],
        );
    }
    check(
        "snapshot_bound = 60\n",
        &kept("\"content-type\""),
        &["rules.toml:11: class `near`: response field `content-type` is kept already"],
    );
    check(
        "policy = \"live\"\n",
        "policy = \"live\"\nresponse_fields = [\"x-a\"]\n",
        &[
            "rules.toml:14: class `live`: `response_fields` on a class that is never stored: leave it out, or say policy = \
           \"store\"",
        ],
    );
}
