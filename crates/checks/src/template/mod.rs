//! The one prompt engine: compiles a prompt once and renders it per request.
//!
//! The linter and the gateways use this same code, so what passed the gates is
//! what serves. It must stay true that
//! - a prompt is closed: templates include only the partials that came with
//!   them, there is no file system and no network behind a name;
//! - only declared variables reach a template, and a missing one is an error
//!   that names all that are missing, never an empty gap in a prompt;
//! - rendering is bounded in steps ([`FUEL`]), in recursion and in output
//!   ([`MAX_RENDERED_BYTES`]), and so are the arguments of filters, because
//!   templates are written by people and fed by requests;
//! - error texts show the template, never the values of a request.
//!
//! Undefined names are strict: printing, looping over or branching on one is an
//! error; `x is defined` and `x | default("…")` are the ways to ask. Whitespace
//! is that of Jinja: one newline at the end of a file is dropped, all else kept.

mod engine;
mod error;
mod filters;
mod key;
mod prompt;
mod recipe;
mod recover;
mod values;

pub(crate) use engine::syntax;
pub use engine::{
    FUEL, MAX_ELIFS, MAX_RENDERED_BYTES, MAX_TAG_TOKENS, MAX_TEMPLATE_BYTES, RECURSION_LIMIT,
};
pub use error::{RenderError, TemplateError};
pub(crate) use filters::FILTERS;
pub use filters::{MAX_COUNT, MAX_ITEMS};
pub use key::KeyTemplate;
pub use prompt::{Prompt, ROLES, Rendered};
pub use recipe::{BadRelease, Recipe, model};
pub use recover::{Recovered, recover};
