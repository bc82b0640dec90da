//! Exports, a page of rows at a time, so that no export holds the database or much memory.

use rusqlite::types::ValueRef;

use super::{Store, StoreError};

/// A table that can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Export {
    Orders,
    Products,
    Customers,
}

/// A row: its id, and the other fields as CSV.
#[derive(Debug)]
pub(crate) struct ExportRow {
    pub(crate) id: i64,
    pub(crate) fields: String,
}

const PAGE_ROWS: u32 = 500;

impl Export {
    /// The export of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "orders" => Some(Self::Orders),
            "products" => Some(Self::Products),
            "customers" => Some(Self::Customers),
            _ => None,
        }
    }

    /// The first line.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Orders => {
                "order_id,name,created_at,customer,segment,items,total,currency,status,shipped_on,\
                 carrier,tracking_number\r\n"
            }
            Self::Products => {
                "variant_id,sku,title,category_l1,category_l2,price,cost,quantity_available,\
                 threshold\r\n"
            }
            Self::Customers => "customer_id,name,email,segment,first_order_day\r\n",
        }
    }

    /// The sign before the shop's column keeps the planner on the primary key, which is in the order wanted.
    /// Parameters: the shop, the id after which to go on, the number of rows. The id comes first.
    fn sql(self) -> &'static str {
        match self {
            Self::Orders => {
                "SELECT o.order_id, o.name, o.created_at, c.name, c.segment, \
                 o.item_count, printf('%.2f', o.total_cents / 100.0), s.currency, \
                 o.display_status, o.shipped_day, f.carrier, f.tracking_number FROM orders AS o \
                 JOIN shops AS s ON s.shop_domain = o.shop_domain JOIN customers AS c ON \
                 c.customer_id = o.customer_id LEFT JOIN fulfillments AS f ON f.order_id = \
                 o.order_id WHERE +o.shop_domain = ?1 AND o.order_id > ?2 ORDER BY o.order_id LIMIT \
                 ?3"
            }
            Self::Products => {
                "SELECT v.variant_id, v.sku, v.title, p.category_l1, \
                 p.category_l2, printf('%.2f', v.price_cents / 100.0), printf('%.2f', v.cost_cents \
                 / 100.0), v.quantity_available, v.threshold FROM variants AS v JOIN products AS p \
                 ON p.product_id = v.product_id WHERE +v.shop_domain = ?1 AND v.variant_id > ?2 \
                 ORDER BY v.variant_id LIMIT ?3"
            }
            Self::Customers => {
                "SELECT customer_id, name, email, segment, first_order_day FROM \
                 customers WHERE +shop_domain = ?1 AND customer_id > ?2 ORDER BY customer_id LIMIT \
                 ?3"
            }
        }
    }
}

impl Store {
    /// The next rows after `after_id`; none at the end of the table.
    pub(crate) async fn export_page(
        &self,
        shop: String,
        export: Export,
        after_id: i64,
    ) -> Result<Vec<ExportRow>, StoreError> {
        self.run(move |connection| {
            let mut statement = connection.prepare_cached(export.sql())?;
            let columns = statement.column_count();
            let rows = statement.query_map((&shop, after_id, PAGE_ROWS), |row| {
                let mut fields = String::new();
                for column in 1..columns {
                    fields.push(',');
                    write_field(&mut fields, row.get_ref(column)?)?;
                }
                Ok(ExportRow { id: row.get(0)?, fields })
            })?;
            rows.collect()
        })
        .await
    }
}

/// A field as RFC 4180 has it: quoted if it must be.
fn write_field(line: &mut String, value: ValueRef<'_>) -> rusqlite::Result<()> {
    match value {
        ValueRef::Null | ValueRef::Blob(_) => {}
        ValueRef::Integer(number) => line.push_str(&number.to_string()),
        ValueRef::Real(number) => line.push_str(&number.to_string()),
        ValueRef::Text(_) => {
            let text = value.as_str()?;
            if text.contains([',', '"', '\r', '\n']) {
                line.push('"');
                line.push_str(&text.replace('"', "\"\""));
                line.push('"');
            } else {
                line.push_str(text);
            }
        }
    }
    Ok(())
}
