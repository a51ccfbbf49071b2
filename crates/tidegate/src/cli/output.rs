//! What a command prints. Standard output is data, standard error is talk.
//!
//! A terminal gets aligned columns, short ids and relative times; anything else
//! gets tab-separated full values in ISO time, so that `cut` and `awk` work and
//! nothing changes its shape with the width of a window. `json` is the API's
//! own schema.

use super::failure::Failure;
use clap::ValueEnum;
use domain::units::Timestamp;
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};

/// How to print results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people; tab-separated when not a terminal.
    Table,
    /// One JSON document: the API's schema.
    Json,
    /// One JSON object a line.
    Jsonl,
}

/// Where results and talk go.
#[derive(Debug, Clone)]
pub struct Out {
    /// The format asked for.
    pub format: Format,
    /// True if a person reads standard output.
    pub tty: bool,
    /// True if colours are wanted there.
    pub color: bool,
    /// The time now, for relative times.
    pub now: Timestamp,
}

/// What a cell says, for people or for programs.
type Cell<'a, T> = Box<dyn Fn(&T, &Out) -> String + 'a>;

/// A list that is about to be printed.
pub struct List<'a, T> {
    out: &'a Out,
    items: &'a [T],
    columns: Vec<(&'static str, Cell<'a, T>)>,
}

impl<'a, T: Serialize> List<'a, T> {
    /// With one more column.
    #[must_use]
    pub fn column(mut self, title: &'static str, cell: impl Fn(&T, &Out) -> String + 'a) -> Self {
        self.columns.push((title, Box::new(cell)));
        self
    }

    /// Prints it: an array, a line each, or a table.
    pub fn print(self) -> Result<(), Failure> {
        let out = self.out;
        match out.format {
            Format::Json => out.json(self.items),
            Format::Jsonl => self.items.iter().try_for_each(|item| out.json_line(item)),
            Format::Table if self.items.is_empty() && out.tty => {
                talk("nothing to show");
                Ok(())
            }
            Format::Table => {
                let titles: Vec<String> =
                    self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
                let rows: Vec<Vec<String>> = self
                    .items
                    .iter()
                    .map(|item| self.columns.iter().map(|(_, cell)| cell(item, out)).collect())
                    .collect();
                out.write(&table(&titles, &rows, out.tty))
            }
        }
    }
}

impl Out {
    /// For this format and terminal.
    pub fn new(format: Format, no_color: bool, now: Timestamp) -> Self {
        let stdout = std::io::stdout();
        let tty = stdout.is_terminal();
        let wanted = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
        Self { format, tty, color: tty && wanted && !no_color, now }
    }

    /// Writes text to standard output as it is.
    pub fn write(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        Ok(())
    }

    /// A list, to be given columns and printed.
    pub fn list<'a, T: Serialize>(&'a self, items: &'a [T]) -> List<'a, T> {
        List { out: self, items, columns: Vec::new() }
    }

    /// One thing: a document, or what `human` makes of it.
    pub fn one<T: Serialize>(
        &self,
        item: &T,
        human: impl FnOnce(&Out) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json(item),
            Format::Jsonl => self.json_line(item),
            Format::Table => self.write(&human(self)),
        }
    }

    /// Facts about one thing, a line each: aligned, or name, tab, value.
    pub fn facts(&self, facts: &[(&str, String)]) -> String {
        let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        facts
            .iter()
            .filter(|(_, value)| !self.tty || !value.is_empty())
            .map(|(name, value)| {
                if self.tty {
                    let indent = format!("\n{:width$}  ", "");
                    format!("{name:width$}  {}\n", value.replace('\n', &indent))
                } else {
                    format!("{name}\t{}\n", one_line(value))
                }
            })
            .collect()
    }

    /// Pretty JSON and a line end.
    pub fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(unprintable)?;
        self.write(&format!("{text}\n"))
    }

    /// JSON on one line.
    pub fn json_line<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(unprintable)?;
        self.write(&format!("{text}\n"))
    }

    /// A moment: relative on a terminal, ISO otherwise.
    pub fn time(&self, at: Timestamp) -> String {
        if self.tty { super::text::ago(self.now, at) } else { at.iso() }
    }

    /// A release: short on a terminal, in full otherwise.
    pub fn release(&self, id: &domain::ids::ReleaseId) -> String {
        if self.tty { id.short() } else { id.to_string() }
    }

    /// The text in this ANSI style, if colours are wanted.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_owned() }
    }
}

/// The few styles the command line uses. Never the only carrier of meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Good.
    Good,
    /// Needs attention.
    Warn,
    /// Bad.
    Bad,
    /// Less important.
    Dim,
    /// More important.
    Bold,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
            Self::Dim => "2",
            Self::Bold => "1",
        }
    }
}

fn unprintable(error: serde_json::Error) -> Failure {
    Failure::new(super::failure::Exit::Failed, format!("cannot print the result as JSON: {error}"))
}

/// Talk: one line to standard error. A closed standard error is nobody's loss.
pub fn talk(text: &str) {
    std::io::stderr().lock().write_all(format!("{text}\n").as_bytes()).ok();
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\t', '\r'], " ")
}

/// Rows in columns. Aligned for people; tab-separated otherwise, where the
/// title row is left out as it is no data.
pub fn table(titles: &[String], rows: &[Vec<String>], tty: bool) -> String {
    if !tty {
        return rows
            .iter()
            .map(|row| row.iter().map(|c| one_line(c)).collect::<Vec<_>>().join("\t") + "\n")
            .collect();
    }
    let widths: Vec<usize> = titles
        .iter()
        .enumerate()
        .map(|(i, title)| {
            rows.iter()
                .filter_map(|row| row.get(i))
                .map(|cell| cell.chars().count())
                .chain([title.chars().count()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| {
                let cell = one_line(cell);
                let pad = width.saturating_sub(cell.chars().count());
                format!("{cell}{}", " ".repeat(pad))
            })
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    std::iter::once(line(titles)).chain(rows.iter().map(|row| line(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_for_people_and_is_tab_separated_for_programs() {
        let titles = ["APP".to_owned(), "STATE".to_owned()];
        let rows = [
            vec!["support-summary".to_owned(), "live".to_owned()],
            vec!["qa".to_owned(), "two\nlines".to_owned()],
        ];
        insta::assert_snapshot!(table(&titles, &rows, true), @r"
        APP              STATE
        support-summary  live
        qa               two lines
        ");
        assert_eq!(table(&titles, &rows, false), "support-summary\tlive\nqa\ttwo lines\n");
    }
}
