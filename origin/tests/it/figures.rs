//! Figures follow from the seed and the day, and from nothing else.

use serde_json::Value;

use crate::server::{DASHBOARD, DEFAULT_SHOP, NOW, Server, drop_volatile};

#[test]
fn money_has_two_decimals() {
    for path in DASHBOARD {
        let answer = Server::shared().get(path, DEFAULT_SHOP);
        for part in answer.text().split([',', '}', ']']) {
            let Some((key, value)) = part.rsplit_once("\":") else {
                continue;
            };
            let decimals = value.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            if !value.starts_with('"') && !key.ends_with("activation_rate") {
                assert!(decimals <= 2, "{path}: {part}");
            }
        }
    }
}

#[test]
fn the_same_seed_and_moment_give_the_same_answers() {
    // Seeded apart from the shared one.
    let twin = Server::own();
    for path in DASHBOARD {
        let figures = Server::shared().figures(path, DEFAULT_SHOP);
        assert_eq!(figures, twin.figures(path, DEFAULT_SHOP), "{path}");
    }
}

#[test]
fn the_same_day_gives_the_same_figures_at_another_hour() {
    let early = Server::start(reference_origin::DEFAULT_SEED, "2026-11-20T01:00:00Z");
    // Only moments within the day differ, and with them the order of what is sorted by them.
    for path in DASHBOARD.into_iter().filter(|path| !path.contains("alerts/") && !path.contains("/cx")) {
        let mut figures = [Server::shared(), &early].map(|server| server.figures(path, DEFAULT_SHOP));
        figures.iter_mut().for_each(drop_moments);
        assert_eq!(figures[0], figures[1], "{path}");
    }
}

fn drop_moments(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            fields.remove("created_at");
            fields.values_mut().for_each(drop_moments);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_moments),
        _ => {}
    }
}

#[test]
fn another_seed_gives_other_figures_and_another_day_the_same_history() {
    let path = "/api/dashboard/trends/revenue?days=90";
    let other = Server::start(8, NOW).figures(path, DEFAULT_SHOP);
    let history = Server::shared().figures(path, DEFAULT_SHOP);
    assert_ne!(other, history);
    let later = Server::start(reference_origin::DEFAULT_SEED, "2026-12-05T09:00:00Z");
    let later = later.data(path, DEFAULT_SHOP);
    let later = later["series"].as_array().expect("days");
    let days = history["data"]["series"].as_array().expect("days");
    for (day, later) in days.iter().zip(&later[15..]) {
        assert_eq!(day["metric_date"], later["metric_date"]);
        assert_eq!(day["daily_revenue"], later["daily_revenue"]);
    }
}

#[test]
fn volatile_fields_change_with_every_answer_and_nothing_else_does() {
    for path in DASHBOARD {
        let mut answers = [(); 2].map(|()| Server::shared().json(path, DEFAULT_SHOP));
        let [one, other] = &answers;
        let pointers: &[&str] = if one.get("fact").is_some() {
            &["/fact/id", "/fact/createdAt", "/data/generated_at"]
        } else {
            &["/timestamp", "/meta/generatedAt"]
        };
        for pointer in pointers {
            let (one, other) = (one.pointer(pointer), other.pointer(pointer));
            assert!(one.is_some() && one != other, "{path} {pointer}: {one:?} {other:?}");
        }
        answers.iter_mut().for_each(drop_volatile);
        assert_eq!(answers[0], answers[1], "{path}");
    }
    let alerts = || Server::shared().data("/api/dashboard/tiles/inventory", DEFAULT_SHOP)["alerts"][0].clone();
    assert_ne!(alerts()["generated_at"], alerts()["generated_at"]);
}
