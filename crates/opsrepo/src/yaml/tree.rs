//! A YAML document with the place of every key and value.
//!
//! Why not straight into structs: `serde` ends at the first fault and keeps no
//! places, and people who edit by hand want all faults at once, each with its
//! line. So text becomes this tree first, and the tree is decoded
//! ([`super::decode`]) as often as there are faults in it.

use std::ops::Range;

/// Byte range in the text.
pub(crate) type Span = Range<usize>;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Written without quotes: a number, a word, nothing, or text.
    Plain(String),
    /// Written in quotes or as a block: text.
    Text(String),
    /// A list.
    List(Vec<Item>),
    /// Keys with values, in the order of the file.
    Map(Vec<Entry>),
}

/// One item of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// Its place in the list as written; stays when other items are taken out.
    pub(crate) index: usize,
    pub(crate) node: Node,
}

/// One key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// One step of a path into a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

/// A path as people write it: `steps[2].weight.share`.
pub(crate) fn dotted(path: &[Segment]) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Key(key) if text.is_empty() => text.push_str(key),
            Segment::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Segment::Index(index) => {
                text.push('[');
                text.push_str(&index.to_string());
                text.push(']');
            }
        }
    }
    text
}

impl Node {
    /// Takes the value at this path out. False if there is none.
    pub(crate) fn remove(&mut self, path: &[Segment]) -> bool {
        match (path, &mut self.kind) {
            ([Segment::Key(key)], Kind::Map(entries)) => {
                let before = entries.len();
                entries.retain(|entry| entry.key != *key);
                entries.len() != before
            }
            ([Segment::Index(index)], Kind::List(items)) => {
                let before = items.len();
                items.retain(|item| item.index != *index);
                items.len() != before
            }
            ([Segment::Key(key), rest @ ..], Kind::Map(entries)) => entries
                .iter_mut()
                .find(|entry| entry.key == *key)
                .is_some_and(|entry| entry.value.remove(rest)),
            ([Segment::Index(index), rest @ ..], Kind::List(items)) => items
                .iter_mut()
                .find(|item| item.index == *index)
                .is_some_and(|item| item.node.remove(rest)),
            _ => false,
        }
    }

    /// Renames the key this path ends in, unless the new name is taken. False if
    /// nothing was renamed.
    pub(crate) fn rename(&mut self, path: &[Segment], name: &str) -> bool {
        match (path, &mut self.kind) {
            ([Segment::Key(key)], Kind::Map(entries)) => {
                if entries.iter().any(|entry| entry.key == name) {
                    return false;
                }
                let found = entries.iter_mut().find(|entry| entry.key == *key);
                found.map(|entry| name.clone_into(&mut entry.key)).is_some()
            }
            ([Segment::Key(key), rest @ ..], Kind::Map(entries)) => entries
                .iter_mut()
                .find(|entry| entry.key == *key)
                .is_some_and(|entry| entry.value.rename(rest, name)),
            ([Segment::Index(index), rest @ ..], Kind::List(items)) => items
                .iter_mut()
                .find(|item| item.index == *index)
                .is_some_and(|item| item.node.rename(rest, name)),
            _ => false,
        }
    }

    /// The place to point at for a dotted path: the value where it is a scalar,
    /// its key where it is more; the nearest there is when the path ends early.
    pub(crate) fn locate(&self, field: &str) -> Option<Span> {
        self.locate_in(field, None)
    }

    fn locate_in(&self, field: &str, key: Option<&Span>) -> Option<Span> {
        let own = || match (&self.kind, key) {
            (Kind::Plain(text), Some(key)) if text.is_empty() => Some(key.clone()),
            (Kind::Plain(_) | Kind::Text(_), _) | (_, None) => Some(self.span.clone()),
            (_, Some(key)) => Some(key.clone()),
        };
        if field.is_empty() {
            return own();
        }
        match &self.kind {
            Kind::Map(entries) => entries
                .iter()
                .filter_map(|entry| Some((entry, after(field, &entry.key)?)))
                // Keys may hold dots: `gpt-4.1` begins with `gpt-4`.
                .max_by_key(|(entry, _)| entry.key.len())
                .and_then(|(entry, rest)| entry.value.locate_in(rest, Some(&entry.key_span)))
                .or_else(own),
            Kind::List(items) => items
                .iter()
                .find_map(|item| {
                    let rest = after(field, &format!("[{}]", item.index))?;
                    item.node.locate_in(rest, None)
                })
                .or_else(own),
            Kind::Plain(_) | Kind::Text(_) => own(),
        }
    }

    /// The keys of a map.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let entries = match &self.kind {
            Kind::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|entry| entry.key.as_str())
    }
}

/// What follows a first segment in a dotted path.
fn after<'a>(field: &'a str, first: &str) -> Option<&'a str> {
    let rest = field.strip_prefix(first)?;
    match rest.strip_prefix('.') {
        Some(rest) => Some(rest),
        None => (rest.is_empty() || rest.starts_with('[')).then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, at: usize) -> Node {
        Node { kind: Kind::Plain(text.into()), span: at..at + text.len() }
    }

    fn entry(key: &str, at: usize, value: Node) -> Entry {
        Entry { key: key.into(), key_span: at..at + key.len(), value }
    }

    #[test]
    fn dotted_paths_find_the_value_the_key_or_the_nearest() {
        let inner = Node { kind: Kind::Map(vec![entry("b.c", 10, plain("7", 15))]), span: 10..16 };
        let list = Node { kind: Kind::List(vec![Item { index: 4, node: inner }]), span: 8..16 };
        let tree = Node { kind: Kind::Map(vec![entry("a", 0, list)]), span: 0..16 };
        assert_eq!(tree.locate("a[4].b.c"), Some(15..16));
        assert_eq!(tree.locate("a[4].gone"), Some(10..16));
        assert_eq!(tree.locate("a"), Some(0..1));
        assert_eq!(tree.locate("elsewhere"), Some(0..16));
    }
}
