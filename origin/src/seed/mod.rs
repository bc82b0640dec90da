//! Fills an empty database with shops that could exist. The same seed and day give the same figures.

mod catalog;
mod days;
mod orders;
mod people;
mod rng;
mod service;
mod shops;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use rusqlite::Connection;

use catalog::Catalog;
use rng::Rng;
use shops::{Profile, SHOPS};

use crate::clock;

/// Fills every table for every shop.
pub(crate) fn fill(connection: &Connection, seed: u32, now: DateTime<Utc>) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO seeding (seed, seeded_at) VALUES (?1, ?2)", (seed, clock::text(now)))?;
    for shop in &SHOPS {
        connection.execute(
            "INSERT INTO shops (shop_domain, name, currency, order_prefix, business_day) VALUES \
             (?1, ?2, ?3, ?4, ?5)",
            (shop.domain, shop.name, shop.currency, shop.order_prefix, now.date_naive().to_string()),
        )?;
        let mut rng = Rng::of([seed, shop.number, 0, 0]);
        let catalog = Catalog::of(shop, &mut rng);
        parts(connection, shop, &catalog, now)?;
        let units_30d = orders::fill(connection, shop, &catalog, seed, now)?;
        stock(connection, shop, &catalog, &units_30d, &mut rng)?;
        service::conversations(connection, shop, now, &mut rng)?;
        service::breaches(connection, shop, seed, now)?;
        service::business(connection, shop, now, &mut rng)?;
    }
    Ok(())
}

fn parts(connection: &Connection, shop: &Profile, catalog: &Catalog, now: DateTime<Utc>) -> rusqlite::Result<()> {
    let mut product = connection.prepare(
        "INSERT OR IGNORE INTO products (product_id, shop_domain, title, category_l1, category_l2) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut variant = connection.prepare(
        "INSERT INTO variants (variant_id, shop_domain, product_id, sku, title, price_cents, \
         cost_cents, quantity_available, threshold, stock_changed_at) VALUES (?1, ?2, ?3, ?4, ?5, \
         ?6, ?7, 0, 0, ?8)",
    )?;
    let counted_at = clock::text(moment(now.date_naive(), 0.25, now));
    for part in &catalog.parts {
        product.execute((part.product_id, shop.domain, &part.product_title, part.category_l1, part.category_l2))?;
        variant.execute((
            part.variant_id,
            shop.domain,
            part.product_id,
            &part.sku,
            &part.title,
            part.price_cents,
            part.cost_cents,
            &counted_at,
        ))?;
    }
    Ok(())
}

/// Gives every part a threshold and a quantity that fit how it sells; so many are out of stock, low, and too many.
fn stock(
    connection: &Connection,
    shop: &Profile,
    catalog: &Catalog,
    units_30d: &[u32],
    rng: &mut Rng,
) -> rusqlite::Result<()> {
    let mut update =
        connection.prepare("UPDATE variants SET quantity_available = ?2, threshold = ?3 WHERE variant_id = ?1")?;
    let [out, low, over] = shop.stock_alerts;
    let mut by_sales: Vec<usize> = (0..catalog.parts.len()).collect();
    by_sales.sort_by_key(|part| units_30d[*part]);
    // Too much lies of what hardly sells; what runs low or out is anything else.
    let half = by_sales.len() / 2;
    let (slow, others) = by_sales.split_at_mut(half);
    rng.shuffle(slow);
    rng.shuffle(others);
    let overstocked = slow.iter().take(over).map(|part| (*part, Level::Over));
    let sold_out = others.iter().take(out).map(|part| (*part, Level::Out));
    let running_low = others.iter().skip(out).chain(slow.iter().skip(over)).take(low);
    let normal = others.iter().skip(out).chain(slow.iter().skip(over)).skip(low);
    let levels = overstocked
        .chain(sold_out)
        .chain(running_low.map(|part| (*part, Level::Low)))
        .chain(normal.map(|part| (*part, Level::Normal)));
    for (part, level) in levels {
        let units = units_30d[part];
        let threshold = (units / 3).max(5).next_multiple_of(5);
        let quantity = match level {
            Level::Out => 0,
            Level::Low => rng.between(1, threshold - 1),
            Level::Normal => rng.between(threshold, threshold * 4),
            Level::Over => (threshold * rng.between(5, 8)).max(units * rng.between(5, 7)),
        };
        update.execute((catalog.parts[part].variant_id, quantity, threshold))?;
    }
    Ok(())
}

enum Level {
    Out,
    Low,
    Normal,
    Over,
}

/// The moment of a day when so much of it had gone; of today, only what has gone of it.
fn moment(day: NaiveDate, share: f64, now: DateTime<Utc>) -> DateTime<Utc> {
    let start = day.and_time(NaiveTime::MIN).and_utc();
    let length = (now - start).min(TimeDelta::days(1));
    let seconds = u32::try_from(length.num_seconds()).unwrap_or(0);
    start + TimeDelta::milliseconds(whole(f64::from(seconds) * share * 1000.0).into())
}

/// A length as the database has numbers.
fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// The nearest whole number of one that is not negative.
fn whole(number: f64) -> u32 {
    floor(number + 0.5)
}

/// The whole part of a number that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "cutting the fraction off is what it is for, and no figure here is negative"
)]
fn floor(number: f64) -> u32 {
    number as u32
}
