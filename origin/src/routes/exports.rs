//! Tables as CSV, as long and as slow as asked, in constant memory.

use std::{io, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Query, State as Extract, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;

use crate::{
    envelope::ApiError,
    shop::Shop,
    state::State,
    store::{Export, ExportRow, StoreError},
};

/// Between two pieces of a slow export.
const PIECE_EVERY: Duration = Duration::from_millis(50);
/// What is added to the ids of rows each time that they are sent again.
const ID_STEP: i64 = 1_000_000_000_000;
const MOST_MEGABYTES: u64 = 100_000;

/// `/api/exports/{name}.csv`.
pub(super) fn routes() -> Router<State> {
    Router::new().route("/api/exports/{file}", get(export))
}

#[derive(Deserialize)]
struct Size {
    /// Millions of bytes that the export has at least; rows are made until it has.
    megabytes: Option<u64>,
    bytes_per_second: Option<u64>,
}

async fn export(
    Extract(state): Extract<State>,
    Shop(shop): Shop,
    Path(file): Path<String>,
    size: Result<Query<Size>, QueryRejection>,
) -> Result<Response, ApiError> {
    let table = file
        .strip_suffix(".csv")
        .and_then(Export::named)
        .ok_or_else(|| ApiError::not_found("There are orders.csv, products.csv and customers.csv."))?;
    let Ok(Query(size)) = size else {
        let sentence = "megabytes, bytes_per_second: give whole numbers.";
        return Err(ApiError::bad_request(sentence));
    };
    if size.megabytes.is_some_and(|megabytes| megabytes > MOST_MEGABYTES) {
        let sentence = format!("megabytes: give at most {MOST_MEGABYTES}.");
        return Err(ApiError::bad_request(sentence));
    }
    if size.bytes_per_second == Some(0) {
        return Err(ApiError::bad_request("bytes_per_second: give 1 or more."));
    }
    let progress = Progress {
        state,
        shop,
        table,
        at_least: size.megabytes.unwrap_or(0) * 1_000_000,
        sent: 0,
        last_rows: Vec::new(),
        add_to_ids: 0,
        next: Next::Header,
    };
    let pages = stream::unfold(progress, Progress::page);
    let body = match size.bytes_per_second {
        Some(speed) => Body::from_stream(slowly(pages, speed)),
        None => Body::from_stream(pages),
    };
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")),
    ];
    Ok((headers, body).into_response())
}

/// How far an export is.
struct Progress {
    state: State,
    shop: String,
    table: Export,
    at_least: u64,
    sent: u64,
    /// The page that was sent last, to go on after it, and to be sent again under other ids.
    last_rows: Vec<ExportRow>,
    add_to_ids: i64,
    next: Next,
}

enum Next {
    Header,
    Rows,
    Padding,
    End,
}

impl Progress {
    /// The next lines. They are made when they are wanted: a client that does not read costs nothing.
    async fn page(mut self) -> Option<(io::Result<Bytes>, Self)> {
        let lines = loop {
            match self.next {
                Next::Header => {
                    self.next = Next::Rows;
                    break self.table.header().to_owned();
                }
                Next::Rows => match self.rows().await {
                    Ok(Some(lines)) => break lines,
                    Ok(None) => self.next = Next::Padding,
                    Err(error) => {
                        self.next = Next::End;
                        return Some((Err(io::Error::other(error.to_string())), self));
                    }
                },
                Next::Padding if self.sent >= self.at_least || self.last_rows.is_empty() => {
                    self.next = Next::End;
                }
                Next::Padding => {
                    self.add_to_ids += ID_STEP;
                    break self.lines();
                }
                Next::End => return None,
            }
        };
        self.sent += u64::try_from(lines.len()).unwrap_or(0);
        Some((Ok(Bytes::from(lines)), self))
    }

    /// The next lines from the table; none at its end.
    async fn rows(&mut self) -> Result<Option<String>, StoreError> {
        let after_id = self.last_rows.last().map_or(0, |row| row.id);
        let rows = self.state.store.export_page(self.shop.clone(), self.table, after_id).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        self.last_rows = rows;
        Ok(Some(self.lines()))
    }

    fn lines(&self) -> String {
        let mut lines = String::new();
        for row in &self.last_rows {
            lines.push_str(&(row.id + self.add_to_ids).to_string());
            lines.push_str(&row.fields);
            lines.push_str("\r\n");
        }
        lines
    }
}

/// The same bytes in small pieces, so many a second. The first comes at once.
fn slowly(
    pages: impl Stream<Item = io::Result<Bytes>>,
    bytes_per_second: u64,
) -> impl Stream<Item = io::Result<Bytes>> {
    let pieces_a_second = 1_000 / u64::try_from(PIECE_EVERY.as_millis()).unwrap_or(1);
    let (every, piece) = if bytes_per_second < pieces_a_second {
        (Duration::from_secs(1) / u32::try_from(bytes_per_second).unwrap_or(1), 1)
    } else {
        (PIECE_EVERY, usize::try_from(bytes_per_second / pieces_a_second).unwrap_or(usize::MAX))
    };
    let pieces = pages.flat_map(move |page| {
        stream::iter(match page {
            Ok(mut page) => {
                let mut pieces = Vec::new();
                while !page.is_empty() {
                    pieces.push(Ok(page.split_to(piece.min(page.len()))));
                }
                pieces
            }
            Err(error) => vec![Err(error)],
        })
    });
    pieces
        .zip(stream::unfold(tokio::time::interval(every), |mut ticks| async move {
            ticks.tick().await;
            Some(((), ticks))
        }))
        .map(|(piece, ())| piece)
}
