//! The filters of the language, each behind a bound.
//!
//! The engine's own filters trust their arguments: `indent(n)` makes a line of
//! `n` spaces, `replace` may multiply a text, and a lazily repeated list becomes
//! a real one when it is sorted. Arguments may come from a request, so each
//! filter is looked at before it runs; [`super::FUEL`] counts steps, not bytes.
//! The table is the language: what is not in it does not exist.

use super::engine::MAX_RENDERED_BYTES;
use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters};

/// Most items of a list a filter takes.
pub const MAX_ITEMS: usize = 100_000;
/// Largest number given to a filter that counts or pads with it.
pub const MAX_COUNT: i64 = 10_000;
/// Most digits of a width or precision in `format`.
const MAX_WIDTH_DIGITS: usize = 3;

macro_rules! table {
    ($($name:literal => $filter:path),* $(,)?) => {
        /// Every filter, in alphabetical order.
        pub(crate) const FILTERS: &[&str] = &[$($name),*];

        /// Puts the filters into an environment that has none of its own.
        pub(super) fn install(env: &mut Environment<'static>) {
            $(
                env.add_filter(concat!("\u{1}", $name), $filter);
                env.add_filter($name, |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| {
                    let args = args.into_values();
                    check($name, &args)?;
                    state.apply_filter(concat!("\u{1}", $name), &args)
                });
            )*
        }
    };
}

table! {
    "abs" => filters::abs,
    "attr" => filters::attr,
    "batch" => filters::batch,
    "bool" => filters::bool,
    "capitalize" => filters::capitalize,
    "chain" => filters::chain,
    "count" => filters::length,
    "d" => filters::default,
    "default" => filters::default,
    "dictsort" => filters::dictsort,
    "e" => filters::escape,
    "escape" => filters::escape,
    "first" => filters::first,
    "float" => filters::float,
    "format" => filters::format,
    "groupby" => filters::groupby,
    "indent" => filters::indent,
    "int" => filters::int,
    "items" => filters::items,
    "join" => filters::join,
    "last" => filters::last,
    "length" => filters::length,
    "lines" => filters::lines,
    "list" => filters::list,
    "lower" => filters::lower,
    "map" => filters::map,
    "max" => filters::max,
    "min" => filters::min,
    "pprint" => filters::pprint,
    "reject" => filters::reject,
    "rejectattr" => filters::rejectattr,
    "replace" => filters::replace,
    "reverse" => filters::reverse,
    "round" => filters::round,
    "safe" => filters::safe,
    "select" => filters::select,
    "selectattr" => filters::selectattr,
    "slice" => filters::slice,
    "sort" => filters::sort,
    "split" => filters::split,
    "string" => filters::string,
    "sum" => filters::sum,
    "title" => filters::title,
    "tojson" => filters::tojson,
    "trim" => filters::trim,
    "unique" => filters::unique,
    "upper" => filters::upper,
    "zip" => filters::zip,
}

const LONG_ARGUMENT: &str = "a list or text is too long for a filter";
const LARGE_NUMBER: &str = "a number given to a filter is too large";
const WIDE_FORMAT: &str = "a width given to `format` is too large";
const LONG_RESULT: &str = "the result of a filter is too long";

fn check(name: &str, args: &[Value]) -> Result<(), Error> {
    let (value, rest) = args.split_first().unwrap_or((&Value::UNDEFINED, &[]));
    let refusal = match name {
        _ if args.iter().any(too_big) => LONG_ARGUMENT,
        "indent" | "batch" | "slice" | "tojson" | "round" if rest.iter().any(counts_too_far) => {
            LARGE_NUMBER
        }
        "format" if value.as_str().is_some_and(pads_too_far) => WIDE_FORMAT,
        "replace" if replaced_bytes(value, rest) > MAX_RENDERED_BYTES => LONG_RESULT,
        "join" if joined_bytes(value, rest) > MAX_RENDERED_BYTES => LONG_RESULT,
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::WriteFailure, refusal))
}

/// True if a filter of this table refused its arguments.
pub(super) fn is_refusal(error: &Error) -> bool {
    let refusals = [LONG_ARGUMENT, LARGE_NUMBER, WIDE_FORMAT, LONG_RESULT];
    error.detail().is_some_and(|detail| refusals.contains(&detail))
}

fn too_big(value: &Value) -> bool {
    match value.kind() {
        ValueKind::String => value.as_str().is_some_and(|s| s.len() > MAX_RENDERED_BYTES),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
            value.len().is_some_and(|len| len > MAX_ITEMS)
        }
        _ => false,
    }
}

/// True for a number, or a named argument with a number, beyond [`MAX_COUNT`].
fn counts_too_far(value: &Value) -> bool {
    if let Some(number) = value.as_i64() {
        return number.saturating_abs() > MAX_COUNT;
    }
    match Kwargs::try_from(value.clone()) {
        Ok(named) => named
            .args()
            .any(|name| named.peek::<i64>(name).is_ok_and(|n| n.saturating_abs() > MAX_COUNT)),
        // A whole number beyond 64 bits is refused by the filter itself.
        Err(_) => false,
    }
}

/// True if a printf format asks for a wide field, or for a width from a value.
fn pads_too_far(format: &str) -> bool {
    format.split('%').skip(1).any(|spec| {
        let spec = spec.trim_start_matches(['-', '+', ' ', '#', '0']);
        let head: &str = spec.split(|c: char| c.is_ascii_alphabetic()).next().unwrap_or("");
        head.contains('*')
            || head
                .split('.')
                .any(|n| n.len() > MAX_WIDTH_DIGITS && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn replaced_bytes(value: &Value, rest: &[Value]) -> usize {
    let (Some(text), [from, to, ..]) = (value.as_str(), rest) else { return 0 };
    let (Some(from), Some(to)) = (from.as_str(), to.as_str()) else { return 0 };
    let times = text.matches(from).count();
    text.len().saturating_add(times.saturating_mul(to.len()))
}

fn joined_bytes(value: &Value, rest: &[Value]) -> usize {
    let Ok(items) = value.try_iter() else { return 0 };
    let joiner = rest.first().and_then(Value::as_str).map_or(0, str::len);
    items
        .map(|item| item.as_str().map_or(8, str::len).saturating_add(joiner))
        .fold(0, usize::saturating_add)
}
