//! Places in a text: byte offsets to lines and columns, and excerpts with a caret.
//!
//! Every finding of this crate points with these functions, so that all of
//! them count alike: lines and columns from 1, columns in characters, the end
//! column inclusive. Offsets beyond the text or inside a character are pulled
//! back to the nearest valid one; nothing here can panic.

use domain::finding::Place;
use std::ops::Range;

/// Longest part of a source line shown in an excerpt, in characters.
pub const MAX_EXCERPT_COLUMNS: usize = 100;

/// A text with its file name, ready to be pointed into.
#[derive(Clone)]
pub struct Source<'a> {
    file: &'a str,
    text: &'a str,
    /// Byte offset at which each line begins.
    lines: Vec<usize>,
}

/// The text may be a prompt; only its size is shown.
impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("file", &self.file).field("bytes", &self.text.len()).finish()
    }
}

impl<'a> Source<'a> {
    /// Indexes the lines of `text`.
    pub fn new(file: &'a str, text: &'a str) -> Self {
        let lines =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file, text, lines }
    }

    /// The text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Line and column of a byte offset, both from 1.
    pub fn line_column(&self, offset: usize) -> (u32, u32) {
        let offset = floor_boundary(self.text, offset);
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.text.get(start..offset).map_or(0, |s| s.chars().count());
        (count(line), count(column).saturating_add(1))
    }

    /// The place of a byte range. A range over several lines ends, for the
    /// reader, at the end of its first line.
    pub fn place(&self, range: Range<usize>) -> Place {
        let (line, column) = self.line_column(range.start);
        let width = self.first_line_of(&range).chars().count();
        Place {
            file: self.file.to_owned(),
            line: Some(line),
            column: Some(column),
            end_column: (width > 1).then(|| column.saturating_add(count(width)).saturating_sub(1)),
            field: None,
        }
    }

    /// The byte range of a place of this text; the inverse of [`Source::place`]
    /// as far as the first line goes.
    pub fn range(&self, place: &Place) -> Range<usize> {
        let line = place.line.unwrap_or(1).saturating_sub(1) as usize;
        let start = self.lines.get(line).copied().unwrap_or(self.text.len());
        let rest = self.text.get(start..).unwrap_or("");
        let offset = |column: u32| {
            let skipped = rest.char_indices().nth(column as usize).map_or(rest.len(), |(at, _)| at);
            start.saturating_add(skipped)
        };
        let column = place.column.unwrap_or(1);
        let from = offset(column.saturating_sub(1));
        from..offset(place.end_column.unwrap_or(column)).max(from)
    }

    /// The line of the range with its number, and carets under the range.
    pub fn excerpt(&self, range: Range<usize>) -> String {
        self.excerpt_with(range, None)
    }

    /// As [`Source::excerpt`], with `mask` in place of the range's own text.
    pub fn masked_excerpt(&self, range: Range<usize>, mask: &str) -> String {
        self.excerpt_with(range, Some(mask))
    }

    fn excerpt_with(&self, range: Range<usize>, mask: Option<&str>) -> String {
        let start = floor_boundary(self.text, range.start);
        let (number, _) = self.line_column(start);
        let line_start = self.text.get(..start).and_then(|s| s.rfind('\n')).map_or(0, |at| at + 1);
        let inner = self.first_line_of(&range);
        let inner_end = start + inner.len();
        let before = self.text.get(line_start..start).unwrap_or("");
        let after = self.text.get(inner_end..).and_then(|s| s.lines().next()).unwrap_or("");
        let shown = printable(mask.unwrap_or(inner));
        draw(number, &printable(before), &shown, &printable(after))
    }

    fn first_line_of(&self, range: &Range<usize>) -> &'a str {
        let start = floor_boundary(self.text, range.start);
        let end = floor_boundary(self.text, range.end).max(start);
        let whole = self.text.get(start..end).unwrap_or("");
        whole.split('\n').next().unwrap_or("").trim_end_matches('\r')
    }
}

/// `before`, `inner` and `after` make one line; carets go under `inner`.
fn draw(number: u32, before: &str, inner: &str, after: &str) -> String {
    let half = MAX_EXCERPT_COLUMNS / 2;
    let inner = clip_end(inner, half);
    let room = MAX_EXCERPT_COLUMNS.saturating_sub(inner.chars().count());
    let before = clip_start(before, room / 2);
    let after = clip_end(after, room.saturating_sub(before.chars().count()));
    let number = number.to_string();
    let gutter = " ".repeat(number.len());
    let indent = " ".repeat(before.chars().count());
    let carets = "^".repeat(inner.chars().count().max(1));
    let line = format!("{number} | {before}{inner}{after}");
    format!("{}\n{gutter} | {indent}{carets}", line.trim_end())
}

fn clip_end(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut clipped: String = text.chars().take(limit.saturating_sub(1)).collect();
    clipped.push('…');
    clipped
}

fn clip_start(text: &str, limit: usize) -> String {
    let length = text.chars().count();
    if length <= limit {
        return text.to_owned();
    }
    let skip = length.saturating_sub(limit.saturating_sub(1));
    std::iter::once('…').chain(text.chars().skip(skip)).collect()
}

/// Control characters could move a terminal's cursor: each becomes one space.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The nearest character boundary at or before `offset`.
pub fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_from_one() {
        let source = Source::new("a.j2", "één\nÜber {{ naam }}\n");
        let at = source.text().find("naam").unwrap();
        let place = source.place(at..at + 4);
        assert_eq!((place.line, place.column, place.end_column), (Some(2), Some(9), Some(12)));
        assert_eq!(source.excerpt(at..at + 4), "2 | Über {{ naam }}\n  |         ^^^^");
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let text = format!("{}NEEDLE{}", "x".repeat(500), "y".repeat(500));
        let source = Source::new("a", &text);
        let excerpt = source.excerpt(500..506);
        let (line, carets) = excerpt.split_once('\n').unwrap();
        let at = line.chars().position(|c| c == 'N').unwrap();
        assert_eq!(carets.chars().position(|c| c == '^'), Some(at));
        assert!(line.chars().count() <= MAX_EXCERPT_COLUMNS + 4, "{line}");
    }

    #[test]
    fn a_mask_hides_the_range() {
        let source = Source::new("a", "key = hunter2 # old");
        assert_eq!(source.masked_excerpt(6..13, "h…"), "1 | key = h… # old\n  |       ^^");
    }

    proptest::proptest! {
        #[test]
        fn any_range_of_any_text_has_a_place(text in ".{0,40}(\n.{0,10}){0,3}", a in 0_usize..80, b in 0_usize..80) {
            let source = Source::new("f", &text);
            let place = source.place(a..b);
            let lines = text.matches('\n').count() + 1;
            proptest::prop_assert!(place.line.unwrap() as usize <= lines);
            proptest::prop_assert_eq!(source.excerpt(a..b).lines().count(), 2);
        }
    }
}
