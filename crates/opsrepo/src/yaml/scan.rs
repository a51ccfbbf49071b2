//! From bytes to a tree, within limits.
//!
//! Refused here, because they make a file mean more than it shows: anchors and
//! aliases (a few lines can unfold to gigabytes), tags, directives, several
//! documents, keys that are no words, and keys given twice.

use super::tree::{Entry, Item, Kind, Node, Span};
use crate::limits::{MAX_FAULTS_PER_FILE, MAX_YAML_DEPTH, MAX_YAML_NODES};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span as Marks};

/// A fault of the text itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TextFault {
    pub(crate) span: Span,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) mend: &'static str,
}

/// Something begun and not ended.
enum Open {
    List { start: Span, items: Vec<Node> },
    Map { start: Span, entries: Vec<Entry>, key: Option<(Option<String>, Span)> },
}

struct Builder<'a> {
    text: &'a str,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    faults: Vec<TextFault>,
}

/// Reads a text. No tree if the syntax is broken or a limit is passed; an empty
/// document is an empty map.
pub(crate) fn scan(text: &str) -> (Option<Node>, Vec<TextFault>) {
    let mut builder = Builder { text, open: Vec::new(), root: None, nodes: 0, faults: Vec::new() };
    let complete = builder.read();
    let root = builder.root.take();
    let root = complete.then(|| match root {
        Some(Node { kind: Kind::Plain(text), span }) if is_null(&text) => {
            Node { kind: Kind::Map(Vec::new()), span }
        }
        Some(node) => node,
        None => Node { kind: Kind::Map(Vec::new()), span: 0..0 },
    });
    (root, builder.faults)
}

/// True for what YAML reads as nothing.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

impl Builder<'_> {
    /// False if the tree is not whole.
    fn read(&mut self) -> bool {
        let mut documents = 0_usize;
        for event in Parser::new_from_str(self.text) {
            let (event, marks) = match event {
                Ok(event) => event,
                Err(error) => {
                    let at = self.byte(error.marker().byte_offset(), error.marker().index());
                    let reason = error.info();
                    self.fault(
                        at..at,
                        "bad_yaml",
                        format!("this is not YAML: {reason}"),
                        "check quotes, brackets, colons and indentation here and on the line above",
                    );
                    return false;
                }
            };
            let span = self.span(&marks);
            if let Event::DocumentStart(..) = event {
                documents += 1;
                if documents > 1 {
                    self.fault(
                        span,
                        "several_documents",
                        "a second document begins here".into(),
                        "keep one document in a file: remove `---`",
                    );
                    return false;
                }
            }
            if !self.take(event, span) {
                return false;
            }
        }
        self.open.is_empty()
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.plain_only(&span, anchor, tag.is_some());
                let text = text.into_owned();
                let kind =
                    if style == ScalarStyle::Plain { Kind::Plain(text) } else { Kind::Text(text) };
                self.put(Node { kind, span })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.plain_only(&span, anchor, tag.is_some());
                self.begin(Open::List { start: span.clone(), items: Vec::new() }, span)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.plain_only(&span, anchor, tag.is_some());
                self.begin(Open::Map { start: span.clone(), entries: Vec::new(), key: None }, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&span),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.fault(
                    span,
                    "yaml_alias",
                    "references (`*name`) are not used in these files".into(),
                    "write the value out",
                );
                false
            }
            _ => true,
        }
    }

    /// Anchors and tags are faults, and the value is read without them.
    fn plain_only(&mut self, span: &Span, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.fault(
                span.clone(),
                "yaml_anchor",
                "anchors (`&name`) are not used in these files".into(),
                "remove the anchor",
            );
        }
        if tagged {
            self.fault(
                span.clone(),
                "yaml_tag",
                "tags (`!name`) are not used in these files".into(),
                "remove the tag; quote what must be text",
            );
        }
    }

    fn begin(&mut self, open: Open, span: Span) -> bool {
        if self.open.len() >= MAX_YAML_DEPTH {
            self.fault(
                span,
                "too_deep",
                format!("nested deeper than {MAX_YAML_DEPTH} levels"),
                "flatten the structure",
            );
            return false;
        }
        self.open.push(open);
        true
    }

    fn end(&mut self, span: &Span) -> bool {
        let node = match self.open.pop() {
            Some(Open::List { start, items }) => {
                let span = start.start..items.last().map_or(span.end, |item| item.span.end);
                let items = items.into_iter().enumerate().map(|(index, node)| Item { index, node });
                Node { kind: Kind::List(items.collect()), span }
            }
            Some(Open::Map { start, entries, .. }) => {
                let from = entries.first().map_or(start.start, |entry| entry.key_span.start);
                let to = entries
                    .last()
                    .map_or(span.end, |entry| entry.value.span.end.max(entry.key_span.end));
                Node { kind: Kind::Map(entries), span: from..to.max(from) }
            }
            None => return false,
        };
        self.put(node)
    }

    /// Puts a finished node where it belongs. False once there are too many.
    fn put(&mut self, node: Node) -> bool {
        self.nodes += 1;
        if self.nodes > MAX_YAML_NODES {
            self.fault(
                node.span,
                "too_large",
                format!("more than {MAX_YAML_NODES} values in one file"),
                "split the file or shorten it",
            );
            return false;
        }
        let mut fault = None;
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match (key.take(), node) {
                (None, Node { kind: Kind::Plain(text) | Kind::Text(text), span }) => {
                    *key = Some((Some(text), span));
                }
                (None, Node { span, .. }) => {
                    fault = Some((
                        span.clone(),
                        "bad_key",
                        "a list or block cannot be a key".to_owned(),
                        "write a word before the colon; quote text that begins with `{` or `[`",
                    ));
                    *key = Some((None, span));
                }
                // The fault of the key is known.
                (Some((None, _)), _) => {}
                (Some((Some(key), key_span)), value) => {
                    if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                        let line = self
                            .text
                            .get(..first.key_span.start)
                            .map_or(1, |t| t.matches('\n').count() + 1);
                        fault = Some((
                            key_span,
                            "duplicate_key",
                            format!("`{key}` is given a second time; the first is on line {line}"),
                            "keep one of the two",
                        ));
                    } else {
                        entries.push(Entry { key, key_span, value });
                    }
                }
            },
        }
        if let Some((span, code, message, mend)) = fault {
            self.fault(span, code, message, mend);
        }
        true
    }

    fn fault(&mut self, span: Span, code: &'static str, message: String, mend: &'static str) {
        if self.faults.len() < MAX_FAULTS_PER_FILE {
            self.faults.push(TextFault { span, code, message, mend });
        }
    }

    fn span(&self, marks: &Marks) -> Span {
        let start = self.byte(marks.start.byte_offset(), marks.start.index());
        let end = self.byte(marks.end.byte_offset(), marks.end.index());
        // A plain scalar's mark may reach over the blanks that follow it.
        let inside = self.text.get(start..end.max(start)).unwrap_or_default();
        start..start + inside.trim_end().len()
    }

    fn byte(&self, byte: Option<usize>, character: usize) -> usize {
        byte.unwrap_or_else(|| {
            self.text.char_indices().nth(character).map_or(self.text.len(), |(at, _)| at)
        })
    }
}
