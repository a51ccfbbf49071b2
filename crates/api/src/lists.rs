//! Lists that are cut into pages by nothing but a place: apps, people, tokens,
//! and those that are put together for every question.

use crate::extract::Params;
use crate::problem::ApiError;
use control::listing::ListQuery;
use control::views::Page;
use serde::Deserialize;
use store::MAX_PAGE;

/// `?limit=` and `?cursor=`. Without a limit, a page is as large as pages get.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    limit: Option<u32>,
    cursor: Option<String>,
}

/// The same beside an app.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceOfApp {
    pub(crate) app: Option<domain::ids::AppName>,
    limit: Option<u32>,
    cursor: Option<String>,
}

impl PlaceOfApp {
    pub(crate) fn place(self) -> Params<Place> {
        Params(Place { limit: self.limit, cursor: self.cursor })
    }
}

impl Params<Place> {
    /// The page asked for of a stored list.
    pub(crate) fn query(self) -> Result<ListQuery, ApiError> {
        let Self(Place { limit, cursor }) = self;
        Ok(ListQuery {
            limit: Some(limit.unwrap_or(MAX_PAGE)),
            cursor: cursor.map(|cursor| cursor.parse()).transpose()?,
            ..ListQuery::default()
        })
    }

    /// The page asked for of a list that is at hand.
    pub(crate) fn cut<T>(self, items: Vec<T>) -> Result<Page<T>, ApiError> {
        let Self(Place { limit, cursor }) = self;
        let from = match cursor {
            Some(text) => text.parse::<usize>().map_err(|_| {
                let detail = format!("`{text}` is not a cursor: the `next` of the page before");
                ApiError::invalid("bad_cursor", detail, "leave it out to begin at the first")
            })?,
            None => 0,
        };
        let size = limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE) as usize;
        let to = from.saturating_add(size);
        let next = (items.len() > to).then(|| to.to_string());
        Ok(Page { items: items.into_iter().skip(from).take(size).collect(), next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(limit: Option<u32>, cursor: Option<&str>) -> Option<(Vec<u32>, Option<String>)> {
        let place = Params(Place { limit, cursor: cursor.map(str::to_owned) });
        place.cut((0..5).collect()).ok().map(|page| (page.items, page.next))
    }

    #[test]
    fn a_list_is_cut_and_read_to_its_end() {
        assert_eq!(cut(None, None), Some((vec![0, 1, 2, 3, 4], None)));
        assert_eq!(cut(Some(2), None), Some((vec![0, 1], Some("2".to_owned()))));
        assert_eq!(cut(Some(2), Some("4")), Some((vec![4], None)));
        assert_eq!(cut(Some(5), Some("0")), Some((vec![0, 1, 2, 3, 4], None)));
        assert_eq!(cut(Some(0), Some("9")), Some((vec![], None)));
        assert_eq!(cut(None, Some("x")), None);
    }
}
