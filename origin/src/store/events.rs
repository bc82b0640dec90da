//! Business events: each writes real rows, and the views show the rest.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::{Store, StoreError};
use crate::clock;

/// An order to make.
#[derive(Debug)]
pub(crate) struct NewOrder {
    pub(crate) shop: String,
    pub(crate) total_cents: Option<i64>,
    pub(crate) at: DateTime<Utc>,
}

/// A count of stock.
#[derive(Debug)]
pub(crate) struct NewQuantity {
    pub(crate) shop: String,
    /// Unnamed, it is the part that sold best in 30 days.
    pub(crate) sku: Option<String>,
    pub(crate) quantity: u32,
    pub(crate) at: DateTime<Utc>,
}

/// A promise to a customer that was broken.
#[derive(Debug)]
pub(crate) struct NewBreach {
    pub(crate) shop: String,
    /// The name of an order that is not on its way and has no issue yet. Unnamed, it is the newest of them.
    pub(crate) order: Option<String>,
    /// The operator's name. Unnamed, it is the first.
    pub(crate) operator: Option<String>,
    pub(crate) at: DateTime<Utc>,
}

/// Why an event is not for this shop.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The shop sells no such part.
    Sku(String),
    /// The shop has no such order that is open and has no issue; or, unnamed, none at all.
    Order(Option<String>),
    /// The shop has no such operator.
    Operator(String),
}

/// A line of a new order.
#[derive(Debug, Serialize)]
pub(crate) struct CreatedLine {
    sku: String,
    title: String,
    quantity: i64,
    price: f64,
}

/// The order that was made.
#[derive(Debug, Serialize)]
pub(crate) struct CreatedOrder {
    pub(crate) shop: String,
    pub(crate) order_id: i64,
    pub(crate) name: String,
    total: f64,
    created_at: String,
    lines: Vec<CreatedLine>,
}

/// The stock that was counted.
#[derive(Debug, Serialize)]
pub(crate) struct CreatedQuantity {
    pub(crate) shop: String,
    pub(crate) variant_id: i64,
    pub(crate) sku: String,
    quantity: u32,
    previous_quantity: i64,
}

/// The breach that was noted, and what it opened.
#[derive(Debug, Serialize)]
pub(crate) struct CreatedBreach {
    pub(crate) shop: String,
    pub(crate) sla_event_id: i64,
    operator: String,
    pub(crate) order_id: i64,
    pub(crate) order: String,
    pub(crate) conversation_id: i64,
    detected_at: String,
}

impl Store {
    /// Inserts an order of today with its lines.
    pub(crate) async fn create_order(&self, order: NewOrder) -> Result<CreatedOrder, StoreError> {
        self.run(move |connection| {
            let transaction = connection.transaction()?;
            let created = insert_order(&transaction, &order)?;
            transaction.commit()?;
            Ok(created)
        })
        .await
    }

    /// Sets the stock of a part.
    pub(crate) async fn set_quantity(
        &self,
        change: NewQuantity,
    ) -> Result<Result<CreatedQuantity, Refusal>, StoreError> {
        self.run(move |connection| {
            let transaction = connection.transaction()?;
            let created = update_quantity(&transaction, change)?;
            transaction.commit()?;
            Ok(created)
        })
        .await
    }

    /// Notes a breach: the order gets an issue, its customer an escalated conversation, the operator an event.
    pub(crate) async fn breach_sla(&self, breach: NewBreach) -> Result<Result<CreatedBreach, Refusal>, StoreError> {
        self.run(move |connection| {
            let transaction = connection.transaction()?;
            let created = insert_breach(&transaction, breach)?;
            transaction.commit()?;
            Ok(created)
        })
        .await
    }
}

fn money(cents: i64) -> f64 {
    i32::try_from(cents).map_or(f64::MAX, |cents| f64::from(cents) / 100.0)
}

fn insert_order(connection: &Connection, order: &NewOrder) -> rusqlite::Result<CreatedOrder> {
    let (order_id, name): (i64, String) = connection.query_row(
        "SELECT o.order_id + 1, s.order_prefix || (CAST(SUBSTR(o.name, LENGTH(s.order_prefix) + 1) \
         AS INTEGER) + 1) FROM orders AS o JOIN shops AS s ON s.shop_domain = o.shop_domain WHERE \
         o.shop_domain = ?1 ORDER BY o.order_id DESC LIMIT 1",
        [&order.shop],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let customer_id: i64 = connection.query_row(
        "SELECT customer_id FROM customers WHERE shop_domain = ?1 ORDER BY customer_id LIMIT 1 \
         OFFSET ?2 * 7919 % (SELECT COUNT(*) FROM customers WHERE shop_domain = ?1)",
        (&order.shop, order_id),
        |row| row.get(0),
    )?;
    let parts = parts_for(connection, &order.shop, order_id)?;
    let lines = lines_for(&parts, order.total_cents);
    let total_cents: i64 = lines.iter().map(|line| line.quantity * line.price_cents).sum();
    let item_count: i64 = lines.iter().map(|line| line.quantity).sum();
    let created_at = clock::text(order.at);
    let day = order.at.date_naive();
    connection.execute(
        "INSERT INTO orders (order_id, shop_domain, name, customer_id, day, created_at, \
         item_count, total_cents, display_status, fulfillment_status, target_ship_day) VALUES (?1, \
         ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'UNFULFILLED', 'unfulfilled', ?9)",
        (
            order_id,
            &order.shop,
            &name,
            customer_id,
            day.to_string(),
            &created_at,
            item_count,
            total_cents,
            (day + TimeDelta::days(2)).to_string(),
        ),
    )?;
    for line in &lines {
        connection.execute(
            "INSERT INTO order_lines (shop_domain, order_id, variant_id, day, quantity, \
             price_cents) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (&order.shop, order_id, line.part.variant_id, day.to_string(), line.quantity, line.price_cents),
        )?;
    }
    Ok(CreatedOrder {
        shop: order.shop.clone(),
        order_id,
        name,
        total: money(total_cents),
        created_at,
        lines: lines
            .into_iter()
            .map(|line| CreatedLine {
                sku: line.part.sku.clone(),
                title: line.part.title.clone(),
                quantity: line.quantity,
                price: money(line.price_cents),
            })
            .collect(),
    })
}

struct Part {
    variant_id: i64,
    sku: String,
    title: String,
    price_cents: i64,
}

/// Three parts in stock, others for every order.
fn parts_for(connection: &Connection, shop: &str, order_id: i64) -> rusqlite::Result<Vec<Part>> {
    let mut statement = connection.prepare_cached(
        "SELECT variant_id, sku, title, price_cents FROM variants WHERE shop_domain = ?1 ORDER BY \
         quantity_available <= 0, (variant_id * 7919 + ?2 * 104729) % 1009, variant_id LIMIT 3",
    )?;
    statement
        .query_map((shop, order_id), |row| {
            Ok(Part { variant_id: row.get(0)?, sku: row.get(1)?, title: row.get(2)?, price_cents: row.get(3)? })
        })?
        .collect()
}

/// A line of an order that is being made.
struct Line<'p> {
    part: &'p Part,
    quantity: i64,
    price_cents: i64,
}

/// One of each part at list price. If a total is given, as many of the first as make about half of it, as
/// many of the second as fit, and one of the third for what is left, at a discount.
fn lines_for(parts: &[Part], total_cents: Option<i64>) -> Vec<Line<'_>> {
    let one_of = |part, price_cents| Line { part, quantity: 1, price_cents };
    let Some(mut left) = total_cents else {
        return parts.iter().take(2).map(|part| one_of(part, part.price_cents)).collect();
    };
    let mut lines = Vec::new();
    for (part, divisor) in parts.iter().zip([2, 1]) {
        let quantity = (left - 1) / divisor / part.price_cents;
        if quantity > 0 {
            left -= quantity * part.price_cents;
            lines.push(Line { part, quantity, price_cents: part.price_cents });
        }
    }
    lines.extend(parts.last().map(|part| one_of(part, left)));
    lines
}

fn update_quantity(connection: &Connection, change: NewQuantity) -> rusqlite::Result<Result<CreatedQuantity, Refusal>> {
    let sku = match change.sku {
        Some(sku) => sku,
        None => connection.query_row(
            "SELECT sku FROM v_top_products WHERE shop_domain = ?1 AND rank = 1",
            [&change.shop],
            |row| row.get(0),
        )?,
    };
    let found: Option<(i64, i64)> = connection
        .query_row(
            "SELECT variant_id, quantity_available FROM variants WHERE shop_domain = ?1 AND sku = \
             ?2",
            (&change.shop, &sku),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((variant_id, previous_quantity)) = found else {
        return Ok(Err(Refusal::Sku(sku)));
    };
    connection.execute(
        "UPDATE variants SET quantity_available = ?2, stock_changed_at = ?3 WHERE variant_id = ?1",
        (variant_id, change.quantity, clock::text(change.at)),
    )?;
    Ok(Ok(CreatedQuantity { shop: change.shop, variant_id, sku, quantity: change.quantity, previous_quantity }))
}

fn insert_breach(connection: &Connection, breach: NewBreach) -> rusqlite::Result<Result<CreatedBreach, Refusal>> {
    let operator: Option<(i64, String)> = connection
        .query_row(
            "SELECT operator_id, name FROM operators WHERE shop_domain = ?1 AND (?2 IS NULL OR \
             name = ?2) ORDER BY operator_id LIMIT 1",
            (&breach.shop, &breach.operator),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((operator_id, operator)) = operator else {
        return Ok(Err(Refusal::Operator(breach.operator.unwrap_or_default())));
    };
    let order: Option<(i64, String, i64)> = connection
        .query_row(
            "SELECT order_id, name, customer_id FROM orders WHERE shop_domain = ?1 AND (?2 IS NULL \
             OR name = ?2) AND order_id NOT IN (SELECT order_id FROM fulfillment_issues WHERE \
             shop_domain = ?1) AND display_status <> 'FULFILLED' ORDER BY order_id DESC LIMIT 1",
            (&breach.shop, &breach.order),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((order_id, order, customer_id)) = order else {
        return Ok(Err(Refusal::Order(breach.order)));
    };
    let detected_at = clock::text(breach.at);
    let today = breach.at.date_naive();
    connection.execute(
        "UPDATE orders SET target_ship_day = ?2, fulfillment_status = 'on_hold' WHERE order_id = ?1",
        (order_id, (today - TimeDelta::days(1)).to_string()),
    )?;
    connection.execute(
        "INSERT INTO fulfillment_issues (order_id, shop_domain, issue_type, issue_description, \
         detected_at) VALUES (?1, ?2, 'carrier_delay', 'Promised ship date was missed', ?3)",
        (order_id, &breach.shop, &detected_at),
    )?;
    connection.execute(
        "INSERT INTO sla_events (shop_domain, operator_id, day, detected_at) VALUES (?1, ?2, ?3, \
         ?4)",
        (&breach.shop, operator_id, today.to_string(), &detected_at),
    )?;
    let sla_event_id = connection.last_insert_rowid();
    let conversation_id: i64 = connection.query_row(
        "SELECT MAX(conversation_id) + 1 FROM conversations WHERE shop_domain = ?1",
        [&breach.shop],
        |row| row.get(0),
    )?;
    connection.execute(
        "INSERT INTO conversations (conversation_id, shop_domain, inbox_id, customer_id, status, \
         created_at, breached_at, escalation_reason, sentiment, priority, tags, category, \
         first_response_minutes) VALUES (?1, ?2, 1, ?3, 'open', ?4, ?4, 'Promised ship date was \
         missed', 'negative', 'urgent', '[\"priority\",\"shipping\"]', 'shipping', 30)",
        (conversation_id, &breach.shop, customer_id, &detected_at),
    )?;
    connection.execute(
        "INSERT INTO messages (shop_domain, conversation_id, author, content, created_at) VALUES \
         (?1, ?2, 'contact', ?3, ?4)",
        (
            &breach.shop,
            conversation_id,
            format!("Order {order} should have shipped by now, where is it?"),
            &detected_at,
        ),
    )?;
    Ok(Ok(CreatedBreach { shop: breach.shop, sla_event_id, operator, order_id, order, conversation_id, detected_at }))
}
