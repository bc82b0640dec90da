//! What a shop sells on a day. A day's orders follow from the seed, the shop and the date alone, so that
//! the history of a date is the same whenever the origin is started.

use chrono::{Datelike, NaiveDate};

use super::{catalog::Catalog, rng::Rng, shops::Profile};

/// Kinds of customers, and their shares of the orders.
pub(crate) const SEGMENTS: [&str; 4] = ["classic_restorer", "diy_builder", "professional_shop", "racing_enthusiast"];
const SEGMENT_WEIGHTS: [u32; 4] = [14, 44, 20, 22];

/// An order, before it is known who placed it.
#[derive(Debug)]
pub(crate) struct DrawnOrder {
    /// How much of the day had gone.
    pub(crate) moment: f64,
    /// Index into `SEGMENTS`.
    pub(crate) segment: usize,
    /// Placed by someone who had not bought before.
    pub(crate) is_first: bool,
    /// Indexes of parts, and how many of each.
    pub(crate) lines: Vec<(usize, u32)>,
    pub(crate) total_cents: u32,
    pub(crate) shipped_on_time: bool,
}

impl DrawnOrder {
    /// How many pieces were ordered.
    pub(crate) fn item_count(&self) -> u32 {
        self.lines.iter().map(|(_, quantity)| quantity).sum()
    }
}

/// The orders of a day, by the time of day.
pub(crate) fn draw(shop: &Profile, catalog: &Catalog, seed: u32, day: NaiveDate) -> Vec<DrawnOrder> {
    let day_number = day.num_days_from_ce().unsigned_abs();
    let mut rng = Rng::of([seed, shop.number, day_number, 1]);
    let expected = expected_orders(shop, day) * rng.spread(0.92, 1.08);
    let count = super::whole(expected).max(1);
    let on_time = rng.spread(0.85, 0.97);
    let mut orders: Vec<DrawnOrder> = (0..count).map(|_| draw_order(&mut rng, catalog, on_time)).collect();
    orders.sort_by(|one, other| one.moment.total_cmp(&other.moment));
    orders
}

/// Growth, season (builds are finished for the summer) and weekday.
fn expected_orders(shop: &Profile, day: NaiveDate) -> f64 {
    const JANUARY_2026: i32 = 739_617;
    let years = f64::from(day.num_days_from_ce() - JANUARY_2026) / 365.25;
    let season = f64::from(day.ordinal()) / 365.25 - 0.42;
    let weekday = [1.05, 1.04, 1.03, 1.02, 1.0, 0.95, 0.91][day.weekday().num_days_from_monday() as usize];
    shop.orders_a_day * shop.yearly_growth.powf(years) * (1.0 + 0.10 * (std::f64::consts::TAU * season).cos()) * weekday
}

fn draw_order(rng: &mut Rng, catalog: &Catalog, on_time: f64) -> DrawnOrder {
    let segment = rng.weighted(&SEGMENT_WEIGHTS);
    let professional = SEGMENTS[segment] == "professional_shop";
    let kinds = 1 + rng.weighted(if professional { &[18, 28, 28, 17, 9] } else { &[36, 34, 19, 8, 3] });
    let mut lines: Vec<(usize, u32)> = Vec::with_capacity(kinds);
    for _ in 0..kinds {
        let part = catalog.ask(rng);
        if lines.iter().any(|(ordered, _)| *ordered == part) {
            continue;
        }
        // Of what costs little, several are bought at once.
        let cheap = catalog.parts[part].price_cents < 5_500;
        let quantity = if cheap { 1 + rng.weighted(&[46, 29, 11, 14]) } else { 1 };
        lines.push((part, u32::try_from(quantity).unwrap_or(1)));
    }
    let total_cents = lines.iter().map(|(part, quantity)| catalog.parts[*part].price_cents * quantity).sum();
    DrawnOrder {
        moment: rng.unit(),
        segment,
        is_first: rng.chance(0.21),
        lines,
        total_cents,
        shipped_on_time: rng.chance(on_time),
    }
}
