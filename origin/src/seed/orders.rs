//! Orders, customers and parcels: the last months one by one, the years before as daily totals.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use rusqlite::{Connection, Statement};

use super::{
    catalog::Catalog,
    days::{self, DrawnOrder, SEGMENTS},
    people,
    rng::Rng,
    shops::Profile,
};
use crate::clock;

/// Days of which the orders are kept one by one: 90 days of trends, and a month to spare.
const KEPT_DAYS: i64 = 120;
/// Days in which an order with an issue may have been placed.
const ISSUE_DAYS: usize = 10;
const CARRIERS: [(&str, &str); 3] = [("UPS", "1Z"), ("FedEx", "77"), ("USPS", "94")];
/// Type, description, display status and fulfillment status.
const ISSUES: [(&str, &str, &str, &str); 4] = [
    ("carrier_delay", "Carrier has not scanned parcel", "PARTIALLY_FULFILLED", "partial"),
    ("backorder", "Waiting on vendor restock", "UNFULFILLED", "unfulfilled"),
    ("address", "Address failed validation", "ON_HOLD", "on_hold"),
    ("backorder", "Waiting on vendor restock", "ON_HOLD", "on_hold"),
];

struct Inserts<'c> {
    order: Statement<'c>,
    line: Statement<'c>,
    parcel: Statement<'c>,
    issue: Statement<'c>,
}

/// Customers by segment, those of longest standing first.
struct Customers {
    by_segment: [Vec<i64>; SEGMENTS.len()],
    next_id: i64,
}

/// Fills the archive, customers, orders, lines, parcels and issues of a shop. Answers the units of each
/// part that the last 30 closed days sold.
pub(crate) fn fill(
    connection: &Connection,
    shop: &Profile,
    catalog: &Catalog,
    seed: u32,
    now: DateTime<Utc>,
) -> rusqlite::Result<Vec<u32>> {
    let today = now.date_naive();
    let first_kept = today - TimeDelta::days(KEPT_DAYS);
    let archived_orders = archive(connection, shop, catalog, seed, first_kept)?;

    let mut rng = Rng::of([seed, shop.number, 0, 2]);
    let mut customers = Customers { by_segment: std::array::from_fn(|_| Vec::new()), next_id: shop.first_customer_id };
    for _ in 0..super::whole(shop.orders_a_day * 30.0) {
        let segment = rng.weighted(&[14, 48, 16, 22]);
        let first_day = first_kept - TimeDelta::days(i64::from(rng.between(1, 900)));
        customers.add(connection, shop, segment, first_day, &mut rng)?;
    }

    let mut inserts = Inserts::prepare(connection)?;
    let mut units_30d = vec![0; catalog.parts.len()];
    let mut number = archived_orders;
    for age in (0..=KEPT_DAYS).rev() {
        let day = today - TimeDelta::days(age);
        let orders = days::draw(shop, catalog, seed, day);
        let delays = Delays::of_day(shop, age, orders.len());
        for (position, order) in orders.iter().enumerate() {
            if (1..=30).contains(&age) {
                for (part, quantity) in &order.lines {
                    units_30d[*part] += quantity;
                }
            }
            let placed = Placed {
                number,
                day,
                created_at: super::moment(day, order.moment, now),
                customer_id: customers.who(connection, shop, order, day, &mut rng)?,
                state: delays.state_of(position, order),
            };
            inserts.insert(shop, catalog, order, &placed, now, &mut rng)?;
            number += 1;
        }
    }
    Ok(units_30d)
}

/// Daily totals from New Year two years before up to `end`. Answers how many orders that were.
fn archive(
    connection: &Connection,
    shop: &Profile,
    catalog: &Catalog,
    seed: u32,
    end: NaiveDate,
) -> rusqlite::Result<i64> {
    let mut insert = connection.prepare(
        "INSERT INTO daily_archive (shop_domain, day, orders, units, revenue_cents, \
         shipped_on_time) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let first = NaiveDate::from_ymd_opt(end.year() - 2, 1, 1).unwrap_or(end);
    let mut archived = 0;
    for day in first.iter_days().take_while(|day| *day < end) {
        let orders = days::draw(shop, catalog, seed, day);
        let cents: u32 = orders.iter().map(|order| order.total_cents).sum();
        let units: u32 = orders.iter().map(DrawnOrder::item_count).sum();
        let on_time = orders.iter().filter(|order| order.shipped_on_time).count();
        insert.execute((
            shop.domain,
            day.to_string(),
            super::length(orders.len()),
            units,
            cents,
            super::length(on_time),
        ))?;
        archived += super::length(orders.len());
    }
    Ok(archived)
}

/// How far an order got.
enum State {
    Shipped { on_time: bool },
    Pending { partly: bool },
    Stuck { issue: usize },
}

/// Which orders of a day are not on their way.
struct Delays {
    age: i64,
    orders: usize,
    delayed: usize,
}

impl Delays {
    fn of_day(shop: &Profile, age: i64, orders: usize) -> Self {
        let delayed = match usize::try_from(age) {
            Ok(0) => shop.pending_today,
            Ok(age) if age <= ISSUE_DAYS => (shop.fulfillment_issues + ISSUE_DAYS - age) / ISSUE_DAYS,
            _ => 0,
        };
        Self { age, orders, delayed }
    }

    /// The delayed are spread evenly over the day.
    fn state_of(&self, position: usize, order: &DrawnOrder) -> State {
        let before = position * self.delayed / self.orders;
        let delayed = (position + 1) * self.delayed / self.orders > before;
        match (delayed, self.age) {
            (true, 0) => State::Pending { partly: before % 4 == 3 },
            (true, age) => State::Stuck { issue: before + usize::try_from(age).unwrap_or_default() },
            // What was shipped late is only known of orders that are old enough.
            (false, age) => State::Shipped { on_time: age <= 10 || order.shipped_on_time },
        }
    }
}

/// Where and when an order was placed, by whom, and what became of it.
struct Placed {
    number: i64,
    day: NaiveDate,
    created_at: DateTime<Utc>,
    customer_id: i64,
    state: State,
}

impl<'c> Inserts<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            order: connection.prepare(
                "INSERT INTO orders (order_id, shop_domain, name, customer_id, day, created_at, \
                 item_count, total_cents, display_status, fulfillment_status, target_ship_day, \
                 shipped_day) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?,
            line: connection.prepare(
                "INSERT INTO order_lines (shop_domain, order_id, variant_id, day, quantity, \
                 price_cents) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            parcel: connection.prepare(
                "INSERT INTO fulfillments (shop_domain, order_id, shipped_at, carrier, \
                 tracking_number) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            issue: connection.prepare(
                "INSERT INTO fulfillment_issues (order_id, shop_domain, issue_type, \
                 issue_description, detected_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
        })
    }

    fn insert(
        &mut self,
        shop: &Profile,
        catalog: &Catalog,
        order: &DrawnOrder,
        placed: &Placed,
        now: DateTime<Utc>,
        rng: &mut Rng,
    ) -> rusqlite::Result<()> {
        let order_id = shop.first_order_id + placed.number;
        let target = placed.day + TimeDelta::days(2);
        let (display_status, fulfillment_status, shipped_at) = match placed.state {
            State::Shipped { on_time } => {
                let hours = if on_time { rng.between(3, 22) } else { rng.between(73, 118) };
                let shipped = placed.created_at + TimeDelta::hours(hours.into());
                ("FULFILLED", "fulfilled", Some(shipped.min(now)))
            }
            State::Pending { partly: true } => ("PARTIALLY_FULFILLED", "partial", None),
            State::Pending { partly: false } => ("UNFULFILLED", "unfulfilled", None),
            State::Stuck { issue } => {
                let (_, _, display, fulfillment) = ISSUES[issue % ISSUES.len()];
                (display, fulfillment, None)
            }
        };
        self.order.execute((
            order_id,
            shop.domain,
            format!("{}{}", shop.order_prefix, 1001 + placed.number),
            placed.customer_id,
            placed.day.to_string(),
            clock::text(placed.created_at),
            order.item_count(),
            order.total_cents,
            display_status,
            fulfillment_status,
            target.to_string(),
            shipped_at.map(|at| at.date_naive().to_string()),
        ))?;
        for (part, quantity) in &order.lines {
            let part = &catalog.parts[*part];
            let line = (shop.domain, order_id, part.variant_id, placed.day.to_string(), quantity, part.price_cents);
            self.line.execute(line)?;
        }
        if let Some(shipped_at) = shipped_at {
            let (carrier, prefix) = rng.pick(&CARRIERS);
            let tracking = format!("{prefix}{:08}{:08}", rng.below(99_999_999), rng.below(99_999_999));
            self.parcel.execute((shop.domain, order_id, clock::text(shipped_at), carrier, tracking))?;
        }
        if let State::Stuck { issue } = placed.state {
            let (kind, description, _, _) = ISSUES[issue % ISSUES.len()];
            let detected_at = (placed.created_at + TimeDelta::hours(9)).min(now);
            self.issue.execute((order_id, shop.domain, kind, description, clock::text(detected_at)))?;
        }
        Ok(())
    }
}

impl Customers {
    fn add(
        &mut self,
        connection: &Connection,
        shop: &Profile,
        segment: usize,
        first_day: NaiveDate,
        rng: &mut Rng,
    ) -> rusqlite::Result<i64> {
        let customer_id = self.next_id;
        let name = people::name(rng);
        let email = people::email(&name, customer_id - shop.first_customer_id);
        connection
            .prepare_cached(
                "INSERT INTO customers (customer_id, shop_domain, name, email, segment, \
                 first_order_day) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((customer_id, shop.domain, name, email, SEGMENTS[segment], first_day.to_string()))?;
        self.by_segment[segment].push(customer_id);
        self.next_id += 1;
        Ok(customer_id)
    }

    /// Who placed an order: someone new, or a customer of that kind, and more often one of long standing.
    fn who(
        &mut self,
        connection: &Connection,
        shop: &Profile,
        order: &DrawnOrder,
        day: NaiveDate,
        rng: &mut Rng,
    ) -> rusqlite::Result<i64> {
        let known = &self.by_segment[order.segment];
        if order.is_first || known.is_empty() {
            return self.add(connection, shop, order.segment, day, rng);
        }
        let share = rng.unit();
        let length = u32::try_from(known.len()).unwrap_or(u32::MAX);
        let index = super::floor(f64::from(length) * share * share) as usize;
        Ok(known[index.min(known.len() - 1)])
    }
}
