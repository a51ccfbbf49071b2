//! From a tree to a struct, with the path and place of the first fault.

use super::scalar::{Scalar, resolve};
use super::scan::is_null;
use super::tree::{Entry, Item, Kind, Node, Segment, Span};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::fmt;

/// Why a tree is not of the form that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DecodeError {
    /// From the root to the fault.
    pub(crate) path: Vec<Segment>,
    /// Where it is, if that is known yet.
    pub(crate) span: Option<Span>,
    pub(crate) kind: ErrorKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ErrorKind {
    /// A key that is not there in this format.
    UnknownField { field: String, known: &'static [&'static str] },
    /// A word that is not one of the choices.
    UnknownWord { word: String, known: &'static [&'static str] },
    /// A key that must be there. The path ends at the block that lacks it.
    MissingField(String),
    /// A value of the wrong type or out of range.
    BadValue(String),
}

impl DecodeError {
    fn new(kind: ErrorKind) -> Self {
        Self { path: Vec::new(), span: None, kind }
    }

    /// The path from one level further out; the place if none is known.
    fn within(mut self, segment: Segment, span: &Span) -> Self {
        self.path.insert(0, segment);
        self.at(span)
    }

    fn at(mut self, span: &Span) -> Self {
        self.span.get_or_insert_with(|| span.clone());
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ErrorKind::UnknownField { field, .. } => write!(f, "`{field}` is not a key here"),
            ErrorKind::UnknownWord { word, .. } => write!(f, "`{word}` is not one of the choices"),
            ErrorKind::MissingField(field) => write!(f, "`{field}` is missing"),
            ErrorKind::BadValue(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(ErrorKind::BadValue(message.to_string()))
    }

    fn invalid_type(given: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let wanted = in_words(&wanted.to_string());
        Self::custom(format_args!("this is {}; wanted is {wanted}", kind_of(given)))
    }

    fn invalid_value(given: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let wanted = in_words(&wanted.to_string());
        Self::custom(format_args!("this is {}; wanted is {wanted}", kind_of(given)))
    }

    fn invalid_length(given: usize, wanted: &dyn Expected) -> Self {
        let wanted = in_words(&wanted.to_string());
        Self::custom(format_args!("this has {given} items; wanted is {wanted}"))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(ErrorKind::UnknownWord { word: word.to_owned(), known })
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(ErrorKind::UnknownField { field: field.to_owned(), known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(ErrorKind::MissingField(field.to_owned()))
    }
}

/// What serde calls the wanted thing, without the names of Rust types.
fn in_words(wanted: &str) -> String {
    let words = match wanted {
        "a string" | "a borrowed string" | "a character" => "text",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" => "a block of keys",
        "f32" | "f64" => "a number",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0",
        "unit" => "nothing",
        _ if wanted.starts_with("struct ") || wanted.starts_with("internally tagged enum") => {
            "a block of keys"
        }
        _ if wanted.starts_with("enum ") || wanted.starts_with("variant ") => {
            "one of the known words"
        }
        _ if wanted.starts_with("a tuple of size ") => {
            return wanted.replace("a tuple of size", "a list of");
        }
        other => other,
    };
    words.to_owned()
}

fn kind_of(given: Unexpected<'_>) -> String {
    match given {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Str(text) if text.chars().count() <= 60 => format!("the text `{text}`"),
        Unexpected::Str(_) => "a long text".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a block of keys".to_owned(),
        _ => "something else".to_owned(),
    }
}

/// A node as serde reads it.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a Node);

/// Decodes a tree.
pub(crate) fn decode<T: de::DeserializeOwned>(root: &Node) -> Result<T, DecodeError> {
    T::deserialize(Reader(root))
}

impl<'a> Reader<'a> {
    fn text(self) -> Option<&'a str> {
        match &self.0.kind {
            Kind::Plain(text) if is_null(text) => None,
            Kind::Plain(text) | Kind::Text(text) => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    fn place<T>(self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        result.map_err(|error| error.at(&self.0.span))
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.place(match &self.0.kind {
            Kind::Text(text) => visitor.visit_str(text),
            Kind::List(items) => visitor.visit_seq(Items(items.iter())),
            Kind::Map(entries) => visitor.visit_map(Entries { rest: entries.iter(), value: None }),
            Kind::Plain(text) => match resolve(text) {
                Scalar::Null => visitor.visit_unit(),
                Scalar::Bool(value) => visitor.visit_bool(value),
                Scalar::Unsigned(value) => visitor.visit_u64(value),
                Scalar::Signed(value) => visitor.visit_i64(value),
                Scalar::Float(value) => visitor.visit_f64(value),
                Scalar::Text(value) => visitor.visit_str(value),
                Scalar::Unusable => Err(de::Error::custom(format_args!(
                    "`{text}` is not a number that can be kept exactly; quote it if it is text"
                ))),
            },
        })
    }

    /// Where text is wanted, a plain word is text even if it looks like a number.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.text() {
            Some(text) => self.place(visitor.visit_str(text)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.0.kind {
            Kind::Plain(text) if is_null(text) => visitor.visit_none(),
            _ => self.place(visitor.visit_some(self)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.place(visitor.visit_newtype_struct(self))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let result = match &self.0.kind {
            Kind::Map(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Choice { entry }),
                _ => Err(de::Error::custom(format_args!(
                    "exactly one key is wanted here, and there are {}",
                    entries.len()
                ))),
            },
            Kind::List(_) => {
                Err(de::Error::invalid_type(Unexpected::Seq, &"one of the known words"))
            }
            Kind::Plain(_) | Kind::Text(_) => match self.text() {
                Some(text) => {
                    let word: de::value::StrDeserializer<'_, DecodeError> =
                        text.into_deserializer();
                    visitor.visit_enum(word)
                }
                None => Err(de::Error::invalid_type(Unexpected::Unit, &"one of the known words")),
            },
        };
        self.place(result)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map ignored_any
    }

    /// A list is no struct, although serde would fill one from it in order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.0.kind {
            Kind::List(_) => {
                self.place(Err(de::Error::invalid_type(Unexpected::Seq, &"a block of keys")))
            }
            _ => self.deserialize_any(visitor),
        }
    }
}

struct Items<'a>(std::slice::Iter<'a, Item>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some(item) = self.0.next() else { return Ok(None) };
        seed.deserialize(Reader(&item.node))
            .map(Some)
            .map_err(|error| error.within(Segment::Index(item.index), &item.node.span))
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.value = Some(entry);
        let key: de::value::StrDeserializer<'_, DecodeError> =
            entry.key.as_str().into_deserializer();
        seed.deserialize(key)
            .map(Some)
            .map_err(|error| error.within(Segment::Key(entry.key.clone()), &entry.key_span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let entry = self
            .value
            .take()
            .ok_or_else(|| <DecodeError as de::Error>::custom("a value was read before its key"))?;
        seed.deserialize(Reader(&entry.value)).map_err(|error| {
            let lacks = matches!(error.kind, ErrorKind::MissingField(_)) && error.path.is_empty();
            // What lacks a key is best shown by its own key.
            let error = if lacks { DecodeError { span: None, ..error } } else { error };
            let place = if lacks || entry.value.span.is_empty() {
                &entry.key_span
            } else {
                &entry.value.span
            };
            error.within(Segment::Key(entry.key.clone()), place)
        })
    }
}

/// `word: {...}`: a choice with content.
struct Choice<'a> {
    entry: &'a Entry,
}

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        let word: de::value::StrDeserializer<'_, DecodeError> =
            self.entry.key.as_str().into_deserializer();
        let variant = seed.deserialize(word).map_err(|error| error.at(&self.entry.key_span))?;
        Ok((variant, self))
    }
}

impl Choice<'_> {
    fn within<T>(&self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        result.map_err(|error| {
            error.within(Segment::Key(self.entry.key.clone()), &self.entry.key_span)
        })
    }
}

impl<'de> VariantAccess<'de> for Choice<'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        let message = format!("`{}` takes nothing after the colon", self.entry.key);
        Err(<DecodeError as de::Error>::custom(message).at(&self.entry.key_span))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        self.within(seed.deserialize(Reader(&self.entry.value)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.within(Reader(&self.entry.value).deserialize_any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.within(Reader(&self.entry.value).deserialize_any(visitor))
    }
}
