//! Conversations, operators, breaches, dealers, and what automation saves.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use rusqlite::Connection;

use super::{people, rng::Rng, shops::Profile};
use crate::clock;

/// Days of which breaches are kept.
const BREACH_DAYS: i64 = 14;
const DEALER_NAMES: [&str; 12] = [
    "Route 40 Rods",
    "Gasser Garage",
    "Bonneville Parts",
    "Flathead Supply",
    "Deuce Depot",
    "Steel & Spark",
    "Valley Street Machines",
    "Rat Rod Row",
    "Torque Town",
    "Salt Flat Speed",
    "Kustom Corner",
    "Big Bore Barn",
];
/// Task, runs a week at most, minutes that a run spares, and what an hour of whoever did it costs in cents.
const TASKS: [(&str, u32, u32, u32); 6] = [
    ("Daily sales report", 7, 35, 9_500),
    ("Reorder proposals", 5, 55, 6_500),
    ("Fulfillment triage", 21, 12, 4_200),
    ("Reply drafts for support", 90, 4, 3_800),
    ("Supplier follow-up", 9, 18, 5_200),
    ("Weekly growth review", 1, 150, 15_000),
];

/// Fills conversations and their messages. Customers must be there.
pub(crate) fn conversations(
    connection: &Connection,
    shop: &Profile,
    now: DateTime<Utc>,
    rng: &mut Rng,
) -> rusqlite::Result<()> {
    let customers: i64 =
        connection
            .query_row("SELECT COUNT(*) FROM customers WHERE shop_domain = ?1", [shop.domain], |row| row.get(0))?;
    let customers = u32::try_from(customers).unwrap_or(1);
    let mut conversation = connection.prepare(
        "INSERT INTO conversations (conversation_id, shop_domain, inbox_id, customer_id, status, \
         created_at, breached_at, escalation_reason, sentiment, priority, tags, category, \
         first_response_minutes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    let mut message = connection.prepare(
        "INSERT INTO messages (shop_domain, conversation_id, author, content, created_at) VALUES \
         (?1, ?2, ?3, ?4, ?5)",
    )?;
    for number in 0..shop.escalations * 4 {
        let open = number < shop.escalations;
        let conversation_id = shop.first_conversation_id + super::length(number);
        let subject = &people::SUBJECTS[number % people::SUBJECTS.len()];
        let age_minutes = if open { rng.between(150, 2_700) } else { rng.between(2_000, 20_000) };
        let created_at = now - TimeDelta::minutes(age_minutes.into());
        let breached = open && rng.chance(0.45);
        let escalated = open && number % 4 == 1;
        let first_response = if breached { rng.between(62, 190) } else { rng.between(4, 48) };
        conversation.execute((
            conversation_id,
            shop.domain,
            rng.between(1, 3),
            shop.first_customer_id + i64::from(rng.below(customers)),
            if open { *rng.pick(&["open", "open", "pending"]) } else { *rng.pick(&["resolved", "closed"]) },
            clock::text(created_at),
            breached.then(|| clock::text(created_at + TimeDelta::minutes(60))),
            escalated.then_some(subject.reason),
            if open { *rng.pick(&["negative", "neutral", "very_negative"]) } else { "neutral" },
            if open { *rng.pick(&["high", "high", "urgent"]) } else { "normal" },
            subject.tags,
            subject.category,
            first_response,
        ))?;
        let step = age_minutes.saturating_sub(first_response).min(2_000) / 4;
        for (position, content) in (0..).zip(subject.messages) {
            let minutes = if position == 0 { 0 } else { first_response + (position - 1) * step };
            let at = clock::text(created_at + TimeDelta::minutes(minutes.into()));
            let author = if position % 2 == 0 { "contact" } else { "agent" };
            message.execute((shop.domain, conversation_id, author, content, at))?;
        }
    }
    Ok(())
}

/// Fills operators and the breaches that they dealt with.
pub(crate) fn breaches(connection: &Connection, shop: &Profile, seed: u32, now: DateTime<Utc>) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO sla_events (shop_domain, operator_id, day, detected_at, minutes_to_resolve) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for operator in shop.operators {
        connection.execute("INSERT INTO operators (shop_domain, name) VALUES (?1, ?2)", (shop.domain, operator))?;
        let operator_id = connection.last_insert_rowid();
        for age in 0..BREACH_DAYS {
            let day = now.date_naive() - TimeDelta::days(age);
            let number = u32::try_from(operator_id).unwrap_or(0);
            let mut rng = Rng::of([seed, number, day.num_days_from_ce().unsigned_abs(), 3]);
            let count = rng.between(3, 9);
            for breach in 0..count {
                let minutes = rng.spread(3.0, 45.0) + if rng.chance(0.15) { rng.spread(20.0, 90.0) } else { 0.0 };
                // The last of a day is sometimes still open.
                let open = breach + 1 == count && rng.chance(if age == 0 { 0.6 } else { 0.12 });
                let minutes = (!open).then_some((minutes * 100.0).round() / 100.0);
                let detected_at = at_share(day, f64::from(breach) / f64::from(count), now);
                insert.execute((shop.domain, operator_id, day.to_string(), detected_at, minutes))?;
            }
        }
    }
    Ok(())
}

fn at_share(day: NaiveDate, share: f64, now: DateTime<Utc>) -> String {
    clock::text(super::moment(day, share, now))
}

/// Fills dealers, growth tiers and time savings.
pub(crate) fn business(
    connection: &Connection,
    shop: &Profile,
    now: DateTime<Utc>,
    rng: &mut Rng,
) -> rusqlite::Result<()> {
    let today = now.date_naive();
    for (number, name) in (0..shop.dealers).zip(DEALER_NAMES) {
        let since = today - TimeDelta::days(rng.between(8, 400).into());
        connection.execute(
            "INSERT INTO dealers (shop_domain, name, activated_on) VALUES (?1, ?2, ?3)",
            (shop.domain, name, (number < shop.dealers_activated).then(|| since.to_string())),
        )?;
    }
    for (tier, dollars) in [
        ("100K", 100_000),
        ("500K", 500_000),
        ("1MM", 1_000_000),
        ("2.5MM", 2_500_000),
        ("5MM", 5_000_000),
        ("10MM", 10_000_000),
    ] {
        connection.execute(
            "INSERT INTO growth_tiers (shop_domain, tier, revenue_cents) VALUES (?1, ?2, ?3)",
            (shop.domain, tier, i64::from(dollars) * 100),
        )?;
    }
    let monday = today - TimeDelta::days(today.weekday().num_days_from_monday().into());
    let mut insert = connection.prepare(
        "INSERT INTO time_savings (shop_domain, week_start, task, runs, minutes_saved, \
         hourly_rate_cents) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for week in 0..54 {
        let week_start = (monday - TimeDelta::weeks(week)).to_string();
        for (task, most_runs, minutes, rate) in TASKS {
            let runs = rng.between(most_runs.div_ceil(2), most_runs);
            insert.execute((shop.domain, &week_start, task, runs, runs * minutes, rate))?;
        }
    }
    Ok(())
}
