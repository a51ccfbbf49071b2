//! Lists that can be longer than what is shown: how many rows are wanted, and
//! the word that there are more.

use super::client::query;
use super::failure::Failure;
use super::output::talk;
use super::run::Run;
use clap::Args;
use control::views::Page;
use serde::de::DeserializeOwned;

/// Rows shown if nothing is said.
const USUAL: u32 = 50;
/// Rows asked for at once: the most the server gives.
const PAGE: u32 = 1000;

/// How much of a list is wanted.
#[derive(Debug, Clone, Args)]
pub struct Paging {
    /// At most so many
    #[arg(long, default_value_t = USUAL, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All there are
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// The rows of a list that were wanted.
pub struct Rows<T> {
    /// The rows.
    pub items: Vec<T>,
    /// What to say if there are more.
    more: Option<String>,
}

impl Paging {
    /// The rows at this path, with these parameters, page by page.
    pub async fn fetch<T: DeserializeOwned>(
        &self,
        run: &Run,
        path: &str,
        parameters: &[(&str, Option<String>)],
    ) -> Result<Rows<T>, Failure> {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let page_size = self.left(items.len()).min(PAGE);
            let mut parameters = parameters.to_vec();
            parameters.push(("limit", Some(page_size.to_string())));
            parameters.push(("cursor", cursor));
            let page: Page<T> = run.api.get(&format!("{path}{}", query(&parameters))).await?;
            let came = page.items.len();
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() || came == 0 || self.left(items.len()) == 0 {
                break;
            }
        }
        let more = cursor.map(|_| self.more(items.len()));
        Ok(Rows { items, more })
    }

    fn left(&self, have: usize) -> u32 {
        if self.all {
            return PAGE;
        }
        self.limit.saturating_sub(u32::try_from(have).unwrap_or(u32::MAX))
    }

    fn more(&self, shown: usize) -> String {
        format!(
            "{shown} shown; there are more: add `--limit {}` or `--all`",
            self.limit.saturating_mul(4)
        )
    }
}

impl<T> Rows<T> {
    /// Says so if there are more: after the rows, where nobody overlooks it.
    pub fn say(&self) {
        if let Some(more) = &self.more {
            talk(more);
        }
    }
}
