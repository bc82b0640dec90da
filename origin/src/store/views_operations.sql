-- What needs doing today: sales, stock, parcels, customers, operators, alerts.
-- Every view has shop_domain, and "today" is the shop's business_day.

-- One row a day that had orders, from the archive and from the orders themselves.
CREATE VIEW v_daily_sales AS
SELECT shop_domain, day, orders, units, revenue_cents, shipped_on_time FROM daily_archive
UNION ALL
SELECT
    shop_domain,
    day,
    COUNT(*) AS orders,
    SUM(item_count) AS units,
    SUM(total_cents) AS revenue_cents,
    COUNT(*) FILTER (WHERE shipped_day <= target_ship_day) AS shipped_on_time
FROM orders
GROUP BY shop_domain, day;

CREATE VIEW v_sales_by_sku_today AS
SELECT
    l.shop_domain,
    v.sku,
    v.title,
    SUM(l.quantity) AS quantity,
    ROUND(SUM(l.quantity * l.price_cents) / 100.0, 2) AS revenue,
    ROW_NUMBER() OVER (
        PARTITION BY l.shop_domain ORDER BY SUM(l.quantity * l.price_cents) DESC, v.sku
    ) AS rank
FROM shops AS s
JOIN order_lines AS l ON l.shop_domain = s.shop_domain AND l.day = s.business_day
JOIN variants AS v ON v.variant_id = l.variant_id
GROUP BY l.shop_domain, v.variant_id;

-- Today's orders that are not on their way, the newest first.
CREATE VIEW v_pending_fulfillment AS
SELECT
    o.shop_domain,
    'gid://shopify/Order/' || o.order_id AS order_id,
    o.name,
    o.display_status,
    o.created_at,
    ROW_NUMBER() OVER (PARTITION BY o.shop_domain ORDER BY o.created_at DESC, o.order_id DESC) AS position
FROM shops AS s
JOIN orders AS o ON o.shop_domain = s.shop_domain AND o.day = s.business_day
WHERE o.display_status <> 'FULFILLED';

-- Pending are today's orders not wholly on their way; unfulfilled are those of which nothing is.
-- Growth is against the day before.
CREATE VIEW v_sales_pulse_current AS
SELECT
    s.business_day AS metric_date,
    s.shop_domain,
    ROUND(t.revenue_cents / 100.0, 2) AS total_revenue,
    s.currency,
    t.orders AS order_count,
    COALESCE(ROUND(t.revenue_cents / 100.0 / NULLIF(t.orders, 0), 2), 0.0) AS avg_order_value,
    COALESCE(ROUND(100.0 * (t.orders - t.pending) / NULLIF(t.orders, 0), 2), 100.0) AS fulfillment_rate,
    COALESCE(ROUND(100.0 * (t.revenue_cents - y.revenue_cents) / y.revenue_cents, 2), 0.0) AS revenue_growth_pct,
    COALESCE(ROUND(100.0 * (t.orders - y.orders) / y.orders, 2), 0.0) AS order_growth_pct,
    (
        SELECT json_group_array(json_object(
            'sku', k.sku, 'title', k.title, 'quantity', k.quantity, 'revenue', k.revenue, 'rank', k.rank
        ) ORDER BY k.rank)
        FROM v_sales_by_sku_today AS k
        WHERE k.shop_domain = s.shop_domain AND k.rank <= 5
    ) AS top_skus,
    t.pending AS orders_pending,
    t.unfulfilled AS orders_unfulfilled
FROM shops AS s
JOIN (
    SELECT
        a.shop_domain,
        COUNT(o.order_id) AS orders,
        COALESCE(SUM(o.total_cents), 0) AS revenue_cents,
        COUNT(*) FILTER (WHERE o.display_status <> 'FULFILLED') AS pending,
        COUNT(*) FILTER (WHERE o.display_status NOT IN ('FULFILLED', 'PARTIALLY_FULFILLED')) AS unfulfilled
    FROM shops AS a
    LEFT JOIN orders AS o ON o.shop_domain = a.shop_domain AND o.day = a.business_day
    GROUP BY a.shop_domain
) AS t ON t.shop_domain = s.shop_domain
LEFT JOIN v_daily_sales AS y
    ON y.shop_domain = s.shop_domain AND y.day = date(s.business_day, '-1 day');

-- How fast a part sells, by the 30 days before today: closed days, so an order of today moves no stock figure.
CREATE VIEW v_variant_velocity AS
WITH sold AS (
    SELECT l.shop_domain, l.variant_id, SUM(l.quantity) AS units
    FROM shops AS s
    JOIN order_lines AS l
        ON l.shop_domain = s.shop_domain AND l.day >= date(s.business_day, '-30 days') AND l.day < s.business_day
    GROUP BY l.shop_domain, l.variant_id
)
SELECT v.shop_domain, v.variant_id, COALESCE(sold.units, 0) AS units_30d
FROM variants AS v
LEFT JOIN sold ON sold.shop_domain = v.shop_domain AND sold.variant_id = v.variant_id;

CREATE VIEW v_inventory_alerts AS
WITH stock AS (
    SELECT
        v.shop_domain, v.variant_id, v.product_id, v.sku, v.title, v.quantity_available, v.threshold,
        CASE
            WHEN v.quantity_available <= 0 THEN 0
            WHEN u.units_30d = 0 THEN 365
            ELSE MIN(365, v.quantity_available * 30 / u.units_30d)
        END AS days_of_cover,
        CASE
            WHEN u.units_30d >= 20 THEN 'fast'
            WHEN u.units_30d >= 8 THEN 'medium'
            WHEN u.units_30d >= 1 THEN 'slow'
            ELSE 'stagnant'
        END AS inventory_velocity,
        p.category_l1, p.category_l2, v.stock_changed_at
    FROM variants AS v
    JOIN products AS p ON p.product_id = v.product_id
    JOIN v_variant_velocity AS u ON u.shop_domain = v.shop_domain AND u.variant_id = v.variant_id
),
typed AS (
    SELECT
        stock.*,
        CASE
            WHEN quantity_available <= 0 THEN 'OUT_OF_STOCK'
            WHEN quantity_available < threshold THEN 'LOW_STOCK'
            WHEN quantity_available >= 5 * threshold AND days_of_cover >= 120 THEN 'OVERSTOCK'
            ELSE 'NORMAL'
        END AS alert_type
    FROM stock
)
SELECT
    shop_domain, variant_id, product_id, sku, title, quantity_available, threshold, days_of_cover,
    inventory_velocity, category_l1, category_l2, alert_type,
    CASE
        WHEN alert_type = 'OUT_OF_STOCK' THEN 'critical'
        WHEN alert_type = 'LOW_STOCK' AND days_of_cover <= 7 THEN 'high'
        WHEN alert_type = 'LOW_STOCK' THEN 'medium'
        WHEN alert_type = 'OVERSTOCK' THEN 'low'
        ELSE 'info'
    END AS severity,
    stock_changed_at
FROM typed;

CREATE VIEW v_fulfillment_issues AS
WITH open_issues AS (
    SELECT
        o.shop_domain, o.order_id, o.name, o.display_status, o.fulfillment_status, o.created_at,
        CAST(julianday(s.business_day) - julianday(o.day) AS INTEGER) AS days_to_fulfill,
        s.business_day > o.target_ship_day AS sla_breached,
        1 AS has_issue,
        i.issue_type, i.issue_description, c.segment AS customer_segment,
        ROUND(o.total_cents / 100.0, 2) AS order_total, o.target_ship_day AS target_ship_date, i.detected_at
    FROM fulfillment_issues AS i
    JOIN orders AS o ON o.order_id = i.order_id AND o.shop_domain = i.shop_domain
    JOIN shops AS s ON s.shop_domain = o.shop_domain
    JOIN customers AS c ON c.customer_id = o.customer_id
    WHERE o.display_status <> 'FULFILLED'
)
SELECT
    shop_domain, order_id, name, display_status, fulfillment_status, created_at, days_to_fulfill,
    sla_breached, has_issue, issue_type, issue_description, customer_segment, order_total,
    CASE
        WHEN sla_breached AND (order_total >= 300 OR days_to_fulfill >= 9) THEN 'critical'
        WHEN sla_breached AND days_to_fulfill >= 5 THEN 'high'
        WHEN sla_breached OR order_total >= 300 THEN 'medium'
        ELSE 'low'
    END AS priority,
    target_ship_date, detected_at
FROM open_issues;

-- Open conversations that someone must look at. Names customers: personal data.
CREATE VIEW v_cx_escalations AS
SELECT
    v.shop_domain, v.conversation_id AS id, v.inbox_id, c.name AS customer_name, v.status, v.created_at, v.breached_at,
    COALESCE((
        SELECT MAX(m.created_at) FROM messages AS m WHERE m.conversation_id = v.conversation_id
    ), v.created_at) AS last_message_at,
    v.breached_at IS NOT NULL AS sla_breached,
    v.escalation_reason IS NOT NULL AS is_escalation,
    v.escalation_reason, v.sentiment, v.priority, v.tags, v.category,
    v.first_response_minutes AS time_to_first_response_minutes,
    c.segment AS customer_segment,
    CASE
        WHEN v.escalation_reason IS NOT NULL AND (v.breached_at IS NOT NULL OR v.priority = 'urgent') THEN 'critical'
        WHEN v.breached_at IS NOT NULL OR v.priority = 'urgent' THEN 'high'
        ELSE 'medium'
    END AS severity
FROM conversations AS v
JOIN customers AS c ON c.customer_id = v.customer_id
WHERE v.status IN ('open', 'pending')
    AND (v.breached_at IS NOT NULL OR v.escalation_reason IS NOT NULL OR v.priority IN ('high', 'urgent'));

-- Breaches of the seven days before today that were resolved, ranked by the time it took: for an operator's day and
-- overall. Closed days, so a breach of today is in the live status and moves no report.
CREATE VIEW v_sla_resolutions_7d AS
SELECT
    e.shop_domain, e.day, e.operator_id, e.minutes_to_resolve AS minutes,
    ROW_NUMBER() OVER operator_day AS position,
    COUNT(*) OVER (PARTITION BY e.shop_domain, e.day, e.operator_id) AS sample,
    ROW_NUMBER() OVER week AS week_position,
    COUNT(*) OVER (PARTITION BY e.shop_domain) AS week_sample
FROM shops AS s
JOIN sla_events AS e
    ON e.shop_domain = s.shop_domain AND e.day >= date(s.business_day, '-7 days') AND e.day < s.business_day
WHERE e.minutes_to_resolve IS NOT NULL
WINDOW
    operator_day AS (PARTITION BY e.shop_domain, e.day, e.operator_id ORDER BY e.minutes_to_resolve),
    week AS (PARTITION BY e.shop_domain ORDER BY e.minutes_to_resolve);

CREATE VIEW v_sla_performance_7d AS
SELECT
    e.shop_domain, e.day AS metric_date, p.name AS operator,
    COUNT(*) AS breaches_detected,
    COUNT(e.minutes_to_resolve) AS breaches_resolved,
    ROUND(100.0 * COUNT(e.minutes_to_resolve) / COUNT(*), 2) AS resolution_rate_pct,
    r.median_minutes, r.p90_minutes
FROM shops AS s
JOIN sla_events AS e
    ON e.shop_domain = s.shop_domain AND e.day >= date(s.business_day, '-7 days') AND e.day < s.business_day
JOIN operators AS p ON p.operator_id = e.operator_id
LEFT JOIN (
    SELECT
        shop_domain, day, operator_id,
        ROUND(AVG(minutes) FILTER (WHERE position IN ((sample + 1) / 2, (sample + 2) / 2)), 2) AS median_minutes,
        ROUND(MAX(minutes) FILTER (WHERE position = (9 * sample + 9) / 10), 2) AS p90_minutes
    FROM v_sla_resolutions_7d
    GROUP BY shop_domain, day, operator_id
) AS r ON r.shop_domain = e.shop_domain AND r.day = e.day AND r.operator_id = e.operator_id
GROUP BY e.shop_domain, e.day, e.operator_id;

CREATE VIEW v_sla_summary_7d AS
SELECT
    s.shop_domain,
    COUNT(r.minutes) AS sample_size,
    ROUND(AVG(r.minutes), 1) AS mean_minutes,
    ROUND(AVG(r.minutes) FILTER (WHERE r.week_position IN ((r.week_sample + 1) / 2, (r.week_sample + 2) / 2)), 1) AS median_minutes,
    ROUND(MAX(r.minutes) FILTER (WHERE r.week_position = (9 * r.week_sample + 9) / 10), 1) AS p90_minutes,
    ROUND(MAX(r.minutes) FILTER (WHERE r.week_position = (19 * r.week_sample + 19) / 20), 1) AS p95_minutes,
    ROUND(MIN(r.minutes), 1) AS min_minutes,
    ROUND(MAX(r.minutes), 1) AS max_minutes,
    date(s.business_day, '-7 days') AS window_start,
    date(s.business_day, '-1 day') AS window_end
FROM shops AS s
LEFT JOIN v_sla_resolutions_7d AS r ON r.shop_domain = s.shop_domain
GROUP BY s.shop_domain;

CREATE VIEW v_activation AS
SELECT
    s.shop_domain,
    COUNT(d.dealer_id) AS total_active_shops,
    COUNT(d.activated_on) AS activated_shops,
    COALESCE(ROUND(1.0 * COUNT(d.activated_on) / NULLIF(COUNT(d.dealer_id), 0), 4), 0.0) AS activation_rate,
    date(s.business_day, '-6 days') AS window_start,
    s.business_day AS window_end
FROM shops AS s
LEFT JOIN dealers AS d ON d.shop_domain = s.shop_domain
GROUP BY s.shop_domain;

-- What the three lists say is wrong, without naming a customer.
CREATE VIEW v_alerts AS
WITH alerts AS (
    SELECT
        shop_domain, 'inventory-' || variant_id AS alert_id, 'inventory' AS kind, severity,
        sku || ': ' || title AS title,
        alert_type || ', ' || quantity_available || ' left, threshold ' || threshold AS detail,
        stock_changed_at AS raised_at
    FROM v_inventory_alerts
    WHERE alert_type <> 'NORMAL'
    UNION ALL
    SELECT
        shop_domain, 'fulfillment-' || order_id, 'fulfillment', priority,
        'Order ' || name,
        issue_description || ', ' || days_to_fulfill || ' days since it was placed',
        detected_at
    FROM v_fulfillment_issues
    UNION ALL
    SELECT
        shop_domain, 'cx-' || id, 'cx', severity,
        'Conversation ' || id,
        category || ', ' || COALESCE(escalation_reason, priority || ' priority'),
        created_at
    FROM v_cx_escalations
)
SELECT
    alerts.shop_domain, alerts.alert_id, alerts.kind, alerts.severity, alerts.title, alerts.detail, alerts.raised_at,
    k.acknowledged_at IS NOT NULL AS acknowledged,
    CASE alerts.severity WHEN 'critical' THEN 1 WHEN 'high' THEN 2 WHEN 'medium' THEN 3 ELSE 4 END AS urgency
FROM alerts
LEFT JOIN alert_acknowledgements AS k ON k.shop_domain = alerts.shop_domain AND k.alert_id = alerts.alert_id;

-- The SLA as it stands now, for the live route.
CREATE VIEW v_sla_status_live AS
SELECT
    s.shop_domain,
    COUNT(e.sla_event_id) FILTER (WHERE e.minutes_to_resolve IS NULL) AS open_breaches,
    COUNT(e.sla_event_id) FILTER (WHERE e.day = s.business_day) AS breaches_today,
    COUNT(e.minutes_to_resolve) FILTER (WHERE e.day = s.business_day) AS resolved_today,
    MIN(e.detected_at) FILTER (WHERE e.minutes_to_resolve IS NULL) AS oldest_open_since
FROM shops AS s
LEFT JOIN sla_events AS e
    ON e.shop_domain = s.shop_domain AND e.day > date(s.business_day, '-7 days') AND e.day <= s.business_day
GROUP BY s.shop_domain;
