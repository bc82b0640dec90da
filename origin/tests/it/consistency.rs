//! Figures fit each other: what a shop's owner would check by hand.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    server::{DEFAULT_SHOP, SHOPS, Server},
    sizes,
};

#[track_caller]
fn number(json: &Value, key: &str) -> f64 {
    json[key].as_f64().unwrap_or_else(|| panic!("{key} is a number in {json}"))
}

#[track_caller]
fn list<'j>(json: &'j Value, key: &str) -> &'j Vec<Value> {
    json[key].as_array().unwrap_or_else(|| panic!("{key} is a list in {json}"))
}

#[track_caller]
fn sum<'j>(rows: impl IntoIterator<Item = &'j Value>, key: &str) -> f64 {
    rows.into_iter().map(|row| number(row, key)).sum()
}

/// Equal but for the rounding of the parts to two decimals.
#[track_caller]
fn same(what: &str, one: f64, other: f64) {
    assert!((one - other).abs() < 0.011, "{what}: {one} is not {other}");
}

#[track_caller]
fn ranked(rows: &[Value]) {
    for (index, row) in (1_u32..).zip(rows) {
        same("rank", number(row, "rank"), f64::from(index));
    }
    for pair in rows.windows(2) {
        assert!(number(&pair[0], "revenue") >= number(&pair[1], "revenue"), "{pair:?}");
    }
}

/// A shop's answers, and its last ninety days, which all others must fit.
struct Subject<'s> {
    server: &'s Server,
    shop: &'s str,
    days: Vec<Value>,
}

impl Subject<'_> {
    #[track_caller]
    fn get(&self, path: &str) -> Value {
        self.server.data(&format!("/api/dashboard/{path}"), self.shop)
    }

    /// A sum over so many days, today included.
    fn sum_of_days(&self, days: usize, key: &str) -> f64 {
        sum(&self.days[..days], key)
    }
}

fn check(server: &Server, shop: &str) {
    let days = server.data("/api/dashboard/trends/revenue?days=90", shop);
    let shop = Subject { server, shop, days: list(&days, "series").clone() };
    check_pulse(&shop);
    check_kpi(&shop);
    check_products(&shop);
    check_lists(&shop);
    check_operators(&shop);
    check_growth(&shop);
}

fn check_pulse(shop: &Subject<'_>) {
    let (today, yesterday) = (&shop.days[0], number(&shop.days[1], "daily_revenue"));
    let pulse = shop.get("tiles/sales-pulse");
    let (revenue, orders) = (number(&pulse, "total_revenue"), number(&pulse, "order_count"));
    let pending = number(&pulse, "orders_pending");
    same("revenue today", revenue, number(today, "daily_revenue"));
    same("average order", number(&pulse, "avg_order_value"), revenue / orders);
    let rate = number(&pulse, "fulfillment_rate");
    same("fulfillment rate", rate, 100.0 * (orders - pending) / orders);
    same("fulfillment rate", rate, number(today, "avg_fulfillment_rate"));
    let growth = 100.0 * (revenue - yesterday) / yesterday;
    same("growth", number(&pulse, "revenue_growth_pct"), growth);
    assert!(number(&pulse, "orders_unfulfilled") <= pending && pending <= orders);
    let listed = u32::try_from(list(&pulse, "pending_fulfillment").len()).expect("a short list");
    same("pending", f64::from(listed), pending.min(8.0));
    ranked(list(&pulse, "top_skus"));
    assert!(sum(list(&pulse, "top_skus"), "revenue") <= revenue);
}

fn check_kpi(shop: &Subject<'_>) {
    let days = &shop.days;
    let kpi = shop.get("kpi/summary");
    assert_eq!(list(&kpi, "sparkline")[..], days[..34]);
    assert_eq!(list(&shop.get("trends/revenue?days=30"), "series")[..], days[..30]);
    let revenue = shop.sum_of_days(30, "daily_revenue");
    let orders = shop.sum_of_days(30, "daily_orders");
    same("daily average", number(&kpi, "avg_daily_revenue_30d"), revenue / 30.0);
    same("average order", number(&kpi, "avg_order_value_30d"), revenue / orders);
    let date = |day: &Value| day["metric_date"].as_str().expect("a date").to_owned();
    let month = &date(&days[0])[..7];
    let this_month = || days.iter().filter(|day| date(day).starts_with(month));
    same("month", number(&kpi, "mtd_revenue"), sum(this_month(), "daily_revenue"));
    same("month", number(&kpi, "mtd_orders"), sum(this_month(), "daily_orders"));
    let year = number(&kpi, "ytd_revenue");
    assert!(number(&kpi, "mtd_revenue") <= year);
    same("progress", number(&kpi, "progress_to_10mm_pct"), year / 100_000.0);
}

fn check_products(shop: &Subject<'_>) {
    let categories = shop.get("trends/categories?days=30");
    let mut by_day: BTreeMap<&str, f64> = BTreeMap::new();
    for row in list(&categories, "series") {
        let day = row["metric_date"].as_str().expect("a date");
        *by_day.entry(day).or_default() += number(row, "total_revenue");
    }
    for day in &shop.days[..30] {
        let date = day["metric_date"].as_str().expect("a date");
        same("categories", by_day[date], number(day, "daily_revenue"));
    }
    let top = shop.get("products/top");
    ranked(list(&top, "products"));
    assert!(sum(list(&top, "products"), "revenue_share_pct") < 100.0);
    assert!(sum(list(&top, "products"), "revenue") < shop.sum_of_days(30, "daily_revenue"));
    for row in shop.get("products/performance").as_array().expect("categories") {
        let movers = ["fast_movers", "medium_movers", "slow_movers"];
        let movers: f64 = movers.iter().map(|key| number(row, key)).sum();
        same("movers", number(row, "products_in_category"), movers);
        let margin = number(row, "avg_category_margin");
        let unsold = number(row, "avg_category_aov") == 0.0;
        assert!(unsold || (20.0..60.0).contains(&margin), "{row}");
    }
    let segments = shop.get("segments");
    let bought = sum(segments.as_array().expect("segments"), "segment_revenue");
    assert!((bought - shop.sum_of_days(90, "daily_revenue")).abs() < 0.1);
}

fn check_lists(shop: &Subject<'_>) {
    let kpi = shop.get("kpi/summary");
    let [stock, issues, threads] =
        [("tiles/inventory", "alerts"), ("tiles/fulfillment", "issues"), ("tiles/cx", "escalations")]
            .map(|(path, key)| list(&shop.get(path), key).clone());
    let critical = |rows: &[Value], key: &str| rows.iter().filter(|row| row[key] == "critical").count();
    assert_eq!(kpi["critical_inventory_alerts"], critical(&stock, "severity"));
    assert_eq!(kpi["current_fulfillment_issues"], issues.len());
    let escalated = threads.iter().filter(|thread| thread["is_escalation"] == true).count();
    assert_eq!(kpi["current_escalations"], escalated);
    assert_eq!(shop.get("alerts/all")["count"], stock.len() + issues.len() + threads.len());
    let worst = critical(&stock, "severity") + critical(&issues, "priority") + critical(&threads, "severity");
    assert_eq!(shop.get("alerts/critical")["count"], worst);
    for row in &stock {
        let (quantity, threshold) = (number(row, "quantity_available"), number(row, "threshold"));
        match row["alert_type"].as_str().expect("a type") {
            "OUT_OF_STOCK" => same("stock", quantity, 0.0),
            "LOW_STOCK" => assert!(0.0 < quantity && quantity < threshold, "{row}"),
            "OVERSTOCK" => assert!(quantity >= threshold, "{row}"),
            other => panic!("{other} is no alert"),
        }
    }
    for issue in &issues {
        let late = issue["target_ship_date"].as_str() < shop.days[0]["metric_date"].as_str();
        assert_eq!(issue["sla_breached"], late, "{issue}");
    }
}

fn check_operators(shop: &Subject<'_>) {
    let ops = shop.get("tiles/ops");
    let by_day = list(&ops, "by_operator_day");
    for row in by_day {
        assert!(number(row, "breaches_resolved") <= number(row, "breaches_detected"), "{row}");
        assert!(number(row, "median_minutes") <= number(row, "p90_minutes"), "{row}");
    }
    let sla = &ops["sla"];
    same("sample", number(sla, "sample_size"), sum(by_day, "breaches_resolved"));
    let rising = ["min_minutes", "median_minutes", "p90_minutes", "p95_minutes", "max_minutes"];
    for pair in rising.windows(2) {
        assert!(number(sla, pair[0]) <= number(sla, pair[1]), "{sla}");
    }
    let savings = shop.get("time-savings");
    for key in ["total_hours_saved", "total_value_saved"] {
        same(key, number(&savings, key), sum(list(&savings, "by_task"), key));
    }
}

fn check_growth(shop: &Subject<'_>) {
    let year = number(&shop.get("kpi/summary"), "ytd_revenue");
    let growth = shop.get("growth/metrics");
    let revenue = number(&growth["last_30_days"], "current_revenue");
    same("30 days", revenue, shop.sum_of_days(30, "daily_revenue"));
    let milestones = shop.get("growth/milestones");
    let milestones = milestones.as_array().expect("months");
    same("year", number(milestones.last().expect("a month"), "ytd_revenue"), year);
    assert!((sum(milestones, "monthly_revenue") - year).abs() < 0.1);
    same("year", number(&shop.get("metrics/ytd"), "ytd_revenue"), year);
    let yoy = shop.get("compare/yoy");
    same("year", number(&yoy["current"], "revenue"), year);
    let months = sum(list(&yoy, "months"), "previous_revenue");
    assert!((months - number(&yoy["previous"], "revenue")).abs() < 0.1);
    assert!(number(&shop.get("compare/qoq")["current"], "revenue") <= year);
}

#[test]
fn figures_of_every_shop_fit_each_other() {
    for shop in SHOPS {
        check(Server::shared(), shop);
    }
}

/// And the answers are as long as ever.
#[test]
fn figures_fit_on_the_first_day_of_a_year_and_on_a_leap_day() {
    for (seed, now) in [(3, "2027-01-01T00:00:40Z"), (7, "2028-02-29T23:59:00Z")] {
        let server = Server::start(seed, now);
        for shop in [DEFAULT_SHOP, SHOPS[2]] {
            check(&server, shop);
        }
        sizes::check(&server);
    }
}

#[test]
fn shops_grow_as_healthy_shops_do() {
    for (shop, aovs) in SHOPS.into_iter().zip([120.0..170.0, 120.0..190.0, 150.0..230.0]) {
        let yoy = Server::shared().data("/api/dashboard/compare/yoy", shop);
        let change = number(&yoy, "revenue_change_pct");
        assert!((3.0..35.0).contains(&change), "{shop} grew by {change} %");
        let aov = number(&yoy["current"], "avg_order_value");
        assert!(aovs.contains(&aov), "{shop} has orders of {aov}");
        let qoq = Server::shared().data("/api/dashboard/compare/qoq", shop);
        let change = number(&qoq, "revenue_change_pct");
        assert!(change.abs() < 30.0, "{shop} changed by {change} % in a quarter");
    }
}
