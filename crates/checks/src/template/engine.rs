//! The engine behind prompts and replay keys: minijinja with limits.

use super::error::{Fault, TemplateError};
use super::filters;
use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Steps one template may take. A prompt of a hundred lines takes a few hundred.
pub const FUEL: u64 = 100_000;
/// Largest template or partial, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 256 * 1024;
/// Largest rendered message, in bytes: more than any model's window.
pub const MAX_RENDERED_BYTES: usize = 8 * 1024 * 1024;
/// Longest `{{ … }}` or `{% … %}`, in tokens. The parser nests one level per
/// operator, so a tag without a bound could exhaust the stack.
pub const MAX_TAG_TOKENS: usize = 256;
/// Most `{% elif %}` in one template; each nests one level deeper in the parser.
pub const MAX_ELIFS: usize = 64;
/// How deep includes and macros may call each other (a macro counts 4, an
/// include 10).
pub const RECURSION_LIMIT: usize = 100;

/// Values shorter than this are not counted while they are printed into a
/// captured block: [`FUEL`] bounds their sum well enough.
const UNCOUNTED_BYTES: usize = 1024;

/// The syntax of every template: Jinja's own.
pub(crate) fn syntax() -> SyntaxConfig {
    SyntaxConfig::default()
}

/// A set of templates that may include each other.
pub(super) struct Engine {
    env: Environment<'static>,
    /// Engine name → (file name, text), to point into.
    sources: BTreeMap<String, (String, String)>,
}

impl Engine {
    pub(super) fn new() -> Self {
        let mut env = Environment::new();
        filters::install(&mut env);
        // `debug()` would print every variable into the prompt.
        env.remove_global("debug");
        env.set_debug(false);
        env.set_syntax(syntax());
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        env.set_fuel(Some(FUEL));
        env.set_recursion_limit(RECURSION_LIMIT);
        env.set_formatter(count_and_print);
        Self { env, sources: BTreeMap::new() }
    }

    /// Compiles a template. `name` is what others include it by, `file` what
    /// errors call it.
    pub(super) fn add(&mut self, name: &str, file: &str, text: &str) -> Result<(), TemplateError> {
        check_size(file, text)?;
        check_tags(file, text)?;
        self.sources.insert(name.to_owned(), (file.to_owned(), text.to_owned()));
        guarded(|| self.env.add_template_owned(name.to_owned(), text.to_owned()))
            .map_err(|fault| TemplateError::at(file, text, fault))
    }

    pub(super) fn render(&self, name: &str, context: Value) -> Result<String, Failure<'_>> {
        let mut out = Bounded { bytes: Vec::new(), full: false };
        let done = guarded(|| {
            let template = self.env.get_template(name)?;
            template.render_captured_to(context, &mut out).map(|_| ())
        });
        if out.full {
            return Err(self.failure(name, Fault::too_long()));
        }
        done.map_err(|fault| self.failure(name, fault))?;
        String::from_utf8(out.bytes).map_err(|_| self.failure(name, Fault::internal()))
    }

    fn failure(&self, name: &str, fault: Fault) -> Failure<'_> {
        let name = fault.template.as_deref().unwrap_or(name);
        let (file, text) =
            self.sources.get(name).map_or(("", ""), |(file, text)| (file.as_str(), text.as_str()));
        Failure { file, text, fault }
    }
}

/// A failed render, with the source it failed in.
pub(super) struct Failure<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    pub(super) fault: Fault,
}

/// The engine is not ours and meets what people write, so a panic in it becomes
/// an error of that one template.
fn guarded<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Fault::of(&error)),
        Err(_) => Err(Fault::internal()),
    }
}

fn check_size(file: &str, text: &str) -> Result<(), TemplateError> {
    if text.len() <= MAX_TEMPLATE_BYTES {
        return Ok(());
    }
    let what =
        format!("the template has {} bytes; at most {MAX_TEMPLATE_BYTES} are allowed", text.len());
    Err(TemplateError::at(file, text, Fault::limit(what, 0..0)))
}

/// Refuses over-long tags and chains before the parser, which recurses, sees them.
fn check_tags(file: &str, text: &str) -> Result<(), TemplateError> {
    let mut length = 0_usize;
    let mut elifs = 0_usize;
    for token in tokenize(text, false, syntax()) {
        // A lexical error is reported by the parser, with more context.
        let Ok((token, span)) = token else {
            return Ok(());
        };
        match token {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => length = 0,
            Token::Ident("elif") if length == 0 => elifs += 1,
            _ => length += 1,
        }
        let what = if length > MAX_TAG_TOKENS {
            format!("this tag has more than {MAX_TAG_TOKENS} parts; split it with `{{% set %}}`")
        } else if elifs > MAX_ELIFS {
            format!(
                "the template has more than {MAX_ELIFS} `elif`; look the text up in a map instead"
            )
        } else {
            continue;
        };
        let range = span.start_offset as usize..span.end_offset as usize;
        return Err(TemplateError::at(file, text, Fault::limit(what, range)));
    }
    Ok(())
}

/// How much a template has printed, captured blocks included.
#[derive(Default)]
struct Printed(usize);

/// Prints a value; large ones count toward [`MAX_RENDERED_BYTES`] even inside a
/// captured block, which the output itself does not see.
fn count_and_print(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if let Some(text) = value.as_str()
        && text.len() >= UNCOUNTED_BYTES
    {
        let printed = state.get_or_insert_extension(Printed::default());
        printed.0 = printed.0.saturating_add(text.len());
        if printed.0 > MAX_RENDERED_BYTES {
            return Err(Error::new(ErrorKind::WriteFailure, "too much output"));
        }
    }
    minijinja::escape_formatter(out, state, value)
}

/// Collects output up to [`MAX_RENDERED_BYTES`].
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(chunk.len()) > MAX_RENDERED_BYTES {
            self.full = true;
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
