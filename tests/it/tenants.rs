//! The admin plane of a deployment of several tenants: whoever calls says which one it is about.

use crate::access::{sessions, with};
use crate::client::{Seen, ask};
use crate::fakes::{Asking, Location, World};
use crate::signing::{SHOP, Token};
use std::rc::Rc;

const TILE: &str = "/api/dashboard/tiles/ops";
const OTHER: &str = "other.test";

fn tile(location: &Rc<Location>, shop: &str) -> Seen {
    ask(location, with(&Token::new(location.world.now() / 1000, shop), TILE))
}

fn purge(location: &Rc<Location>, tenant: &str) -> Seen {
    ask(location, Asking::purge(format!(r#"{{"mode":"hard","all":true{tenant}}}"#)))
}

#[test]
fn a_purge_names_its_tenant_and_reaches_no_other() {
    let world = World::new();
    let location = sessions(&world);
    assert_eq!([tile(&location, SHOP).serial(), tile(&location, OTHER).serial()], [Some(1), Some(2)]);
    for (tenant, sentence) in [
        ("", "`tenant` is missing: this deployment has more than one. Nothing was purged."),
        (r#","tenant":"a/b""#, "`tenant` is not one of this deployment. Nothing was purged."),
        (r#","tenant":"stranger.test""#, "The tenant is not listed. Nothing was purged."),
    ] {
        let seen = purge(&location, tenant);
        assert_eq!((seen.status, &seen.json()["detail"]), (422, &sentence.into()));
    }
    assert_eq!(world.objects(), 2, "nobody made an object of a stranger's name");
    let done = purge(&location, r#","tenant":"shop.test""#);
    assert_eq!((done.status, &done.json()["tenant"]), (202, &SHOP.into()));
    let (mine, others) = (tile(&location, SHOP), tile(&location, OTHER));
    assert_eq!((mine.origin_requests, others.origin_requests), (1, 0));
}

#[test]
fn a_receipt_is_found_by_its_id_alone() {
    let world = World::new();
    let location = sessions(&world);
    let id = purge(&location, r#","tenant":"shop.test""#).json()["id"].as_str().unwrap().to_string();
    let get = |id: &str| ask(&location, Asking::get(&format!("/cache/receipts/{id}")).by_operator());
    assert_eq!((get(&id).status, &get(&id).json()["tenant"]), (200, &SHOP.into()));
    for wrong in ["x", "A~1", "shop.test~none", "~~none", "/~1"] {
        assert!(matches!(get(wrong).status, 404 | 400), "{wrong}");
    }
}

#[test]
fn a_listing_names_its_tenant() {
    let world = World::new();
    let location = sessions(&world);
    let list = |body: &str| ask(&location, Asking::new("PUT", "/cache/listing").by_operator().sending(body)).status;
    for wrong in [
        r#"{"listed":true}"#,
        r#"{"listed":true,"tenant":5}"#,
        r#"{"listed":true,"tenant":"A"}"#,
        r#"{"tenant":"new.test"}"#,
        "x",
    ] {
        assert_eq!(list(wrong), 422, "{wrong}");
    }
    assert_eq!(world.objects(), 0);
    assert_eq!(list(r#"{"listed":true,"tenant":"new.test"}"#), 200);
    assert_eq!(tile(&location, "new.test").status, 200);
}
