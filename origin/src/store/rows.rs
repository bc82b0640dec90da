//! Typed rows: a struct, the columns it selects and how it is read, from one list of fields.

use rusqlite::{Connection, Params, Row};
use serde::Serialize;

/// A row that knows its columns.
pub(crate) trait FromRow: Sized {
    /// The columns, in the order in which `from_row` reads them.
    const COLUMNS: &'static [&'static str];

    /// Reads a row that selected `COLUMNS`.
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self>;
}

/// Declares a row type. Fields are named as the view's columns and serialize in the order given.
macro_rules! row {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[allow(clippy::struct_field_names, reason = "fields have the names of the columns")]
        #[derive(Debug, Clone, serde::Serialize)]
        pub(crate) struct $name {
            $($(#[$field_meta])* pub(crate) $field: $type,)*
        }

        impl $crate::store::rows::FromRow for $name {
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                let mut columns = 0..Self::COLUMNS.len();
                let mut next = || columns.next().unwrap_or_default();
                Ok(Self { $($field: row.get(next())?,)* })
            }
        }
    };
}
pub(crate) use row;

/// Rows of a view for one shop, which is parameter 1. `rest` goes on after the filter by shop: this is
/// the only way by which answers read views, so none can forget the filter.
pub(crate) fn of_shop<T: FromRow>(
    connection: &Connection,
    view: &str,
    rest: &str,
    parameters: impl Params,
) -> rusqlite::Result<Vec<T>> {
    let columns = T::COLUMNS.join(", ");
    let sql = format!("SELECT {columns} FROM {view} WHERE shop_domain = ?1 {rest}");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(parameters, T::from_row)?.collect()
}

/// The one row that a view has for a shop.
pub(crate) fn one_of_shop<T: FromRow>(
    connection: &Connection,
    view: &str,
    rest: &str,
    parameters: impl Params,
) -> rusqlite::Result<T> {
    let rows: Vec<T> = of_shop(connection, view, rest, parameters)?;
    rows.into_iter().next().ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// JSON that a view made in a column.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: serde::de::DeserializeOwned> rusqlite::types::FromSql for Json<T> {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(rusqlite::types::FromSqlError::other)
    }
}
