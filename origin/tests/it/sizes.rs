//! Answers are as long as those of the system that they stand for.

use crate::server::{DEFAULT_SHOP, Server};

/// Path, bytes, and where the rows are and how many.
const SIZES: [(&str, usize, &str, usize); 8] = [
    ("/api/dashboard/tiles/sales-pulse", 2_067, "/data/pending_fulfillment", 8),
    ("/api/dashboard/tiles/inventory", 51_892, "/data/alerts", 150),
    ("/api/dashboard/tiles/fulfillment", 20_238, "/data/issues", 51),
    ("/api/dashboard/tiles/cx", 29_693, "/data/escalations", 27),
    ("/api/dashboard/tiles/ops", 8_405, "/data/by_operator_day", 49),
    ("/api/dashboard/kpi/summary", 4_734, "/data/sparkline", 34),
    ("/api/dashboard/trends/categories?days=30", 96_598, "/data/series", 600),
    ("/api/dashboard/trends/revenue?days=90", 11_406, "/data/series", 90),
];

/// Every size and number of rows, for the default shop.
#[track_caller]
pub fn check(server: &Server) {
    for (path, expected, rows_at, rows) in SIZES {
        let answer = server.get(path, DEFAULT_SHOP);
        let bytes = answer.body.len();
        assert!(
            (expected * 8 / 10..=expected * 12 / 10).contains(&bytes),
            "{path} has {bytes} bytes, which is not within 20 % of {expected}"
        );
        let json = answer.json();
        let found = json.pointer(rows_at).and_then(|rows| rows.as_array()).map(Vec::len);
        assert_eq!(found, Some(rows), "{path} {rows_at}");
    }
    let cx = server.data("/api/dashboard/tiles/cx", DEFAULT_SHOP);
    for thread in cx["escalations"].as_array().expect("a list") {
        assert_eq!(thread["messages"].as_array().map(Vec::len), Some(4));
    }
    let pulse = server.data("/api/dashboard/tiles/sales-pulse", DEFAULT_SHOP);
    assert_eq!(pulse["top_skus"].as_array().map(Vec::len), Some(5));
}

#[test]
fn payloads_have_the_sizes_of_the_public_system() {
    check(Server::shared());
}

/// Key by key, so that what reads the public system's answers reads these.
#[test]
fn tiles_have_the_keys_of_the_public_system_in_its_order() {
    let starts = [
        (
            "/api/dashboard/tiles/sales-pulse",
            "status source fact id createdAt data metric_date shop_domain total_revenue currency order_count \
             avg_order_value fulfillment_rate revenue_growth_pct order_growth_pct top_skus sku title quantity \
             revenue rank",
        ),
        (
            "/api/dashboard/tiles/inventory",
            "status source fact id createdAt data alerts variant_id product_id sku title quantity_available \
             threshold days_of_cover inventory_velocity category_l1 category_l2 alert_type severity generated_at",
        ),
        (
            "/api/dashboard/tiles/fulfillment",
            "status source fact id createdAt data issues order_id name display_status fulfillment_status \
             created_at days_to_fulfill sla_breached has_issue issue_type issue_description customer_segment \
             order_total priority target_ship_date",
        ),
        (
            "/api/dashboard/tiles/cx",
            "status source fact id createdAt data escalations id inbox_id customer_name status created_at \
             breached_at last_message_at sla_breached is_escalation escalation_reason sentiment priority tags \
             category time_to_first_response_minutes customer_segment severity messages id author content \
             created_at",
        ),
        (
            "/api/dashboard/tiles/ops",
            "status source fact id createdAt data activation total_active_shops activated_shops activation_rate \
             window_start window_end sla sample_size mean_minutes median_minutes p90_minutes p95_minutes \
             min_minutes max_minutes window_start window_end by_operator_day metric_date operator \
             breaches_detected breaches_resolved resolution_rate_pct median_minutes p90_minutes",
        ),
        (
            "/api/dashboard/kpi/summary",
            "status source fact id createdAt data mtd_revenue ytd_revenue avg_daily_revenue_30d mtd_orders \
             avg_order_value_30d avg_fulfillment_rate_7d current_fulfillment_issues critical_inventory_alerts \
             avg_days_of_cover current_escalations avg_first_response_minutes progress_to_10mm_pct sparkline \
             metric_date daily_revenue daily_orders avg_order_value avg_fulfillment_rate",
        ),
        (
            "/api/dashboard/trends/categories?days=30",
            "status source fact id createdAt data range_days series metric_date category_l1 category_l2 \
             products_sold total_units total_revenue avg_price",
        ),
    ];
    for (path, expected) in starts {
        let answer = Server::shared().get(path, DEFAULT_SHOP);
        let keys: Vec<&str> = answer
            .text()
            .split('"')
            .collect::<Vec<_>>()
            .windows(2)
            .filter(|pair| pair[1].starts_with(':'))
            .map(|pair| pair[0])
            .take(expected.split_whitespace().count())
            .collect();
        assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>(), "{path}");
        assert!(answer.text().contains("\"generated_at\":\""), "{path}");
    }
}
