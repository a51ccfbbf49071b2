//! How many tokens a text has, and whether a prompt fits its model.
//!
//! Counts are those of the provider's own vocabulary. The vocabularies are
//! inside the binary and are unpacked once, at first use.

use crate::finding::finding;
use crate::lint;
use crate::source::floor_boundary;
use crate::suggest::{listed, nearest};
use crate::template::{Prompt, Rendered};
use domain::finding::{Finding, Severity};
use domain::snapshot::{ModelContent, PromptContent};
use serde_json::Value;
use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

/// The tokenizers there are.
pub const TOKENIZERS: [&str; 2] = ["cl100k_base", "o200k_base"];
/// Tokens a chat message costs beside its text.
pub const TOKENS_PER_MESSAGE: usize = 4;
/// Tokens that open the answer.
pub const TOKENS_PER_ANSWER: usize = 3;
/// Texts are counted in pieces of this many bytes: a vocabulary's pattern looks
/// ahead, and what it looks at must stay small. Each cut costs at most a token.
const PIECE_BYTES: usize = 64 * 1024;

/// A tokenizer nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a tokenizer; use `cl100k_base` or `o200k_base`")]
pub struct UnknownTokenizer {
    /// What was given.
    pub name: String,
}

/// The number of tokens of `text`.
pub fn count(tokenizer: &str, text: &str) -> Result<usize, UnknownTokenizer> {
    let vocabulary = vocabulary(tokenizer)?;
    let mut rest = text;
    let mut total = 0_usize;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at_checked(cut(rest)).unwrap_or((rest, ""));
        total = total.saturating_add(vocabulary.count_ordinary(piece));
        rest = after;
    }
    Ok(total)
}

/// The number of tokens a rendered prompt takes. The caller's own messages are
/// not in it.
pub fn count_messages(tokenizer: &str, messages: &[Rendered]) -> Result<usize, UnknownTokenizer> {
    let mut total = TOKENS_PER_ANSWER;
    for message in messages {
        if let Rendered::Message { role, content } = message {
            let parts = count(tokenizer, role)?.saturating_add(count(tokenizer, content)?);
            total = total.saturating_add(parts).saturating_add(TOKENS_PER_MESSAGE);
        }
    }
    Ok(total)
}

/// What the check of a prompt's length says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// One sentence with the numbers.
    pub summary: String,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Checks that a typical request and its answer fit the model's window.
/// `model_file` and `app_file` are named in findings.
pub fn fit(
    content: &PromptContent,
    model: &ModelContent,
    parameters: Option<&Value>,
    model_file: &str,
    app_file: &str,
) -> Fit {
    if let Err(error) = vocabulary(&model.tokenizer) {
        return unknown_tokenizer(&error, model_file);
    }
    let (vars, lacking) = lint::example(content);
    let mut findings: Vec<Finding> =
        lacking.iter().map(|name| no_example(name, app_file)).collect();
    let mut filled = vars;
    for name in &lacking {
        filled.insert(name.clone(), Value::String(String::new()));
    }
    let rendered = Prompt::compile(content).ok().and_then(|prompt| prompt.render(&filled).ok());
    let Some(messages) = rendered else {
        return Fit {
            summary: "The prompt could not be rendered, so it was not counted.".into(),
            findings,
        };
    };
    let prompt = count_messages(&model.tokenizer, &messages).unwrap_or(0);
    let answer = max_tokens(parameters);
    let window = model.context_window as usize;
    let total = prompt.saturating_add(answer);
    if total > window {
        findings.push(too_long(prompt, answer, window, content));
    }
    Fit { summary: summary(prompt, answer, window), findings }
}

/// Tokens of a typical request (the examples of its variables), and of the
/// longest answer the parameters allow. Absent where it cannot be told: an
/// example is missing, the prompt does not render, no limit is set.
pub fn typical(
    content: &PromptContent,
    model: &ModelContent,
    parameters: Option<&Value>,
) -> (Option<usize>, Option<usize>) {
    let (vars, lacking) = lint::example(content);
    let rendered = lacking
        .is_empty()
        .then(|| Prompt::compile(content).ok().and_then(|prompt| prompt.render(&vars).ok()))
        .flatten();
    let prompt = rendered.and_then(|m| count_messages(&model.tokenizer, &m).ok());
    (prompt, Some(max_tokens(parameters)).filter(|n| *n > 0))
}

/// The longest answer the parameters allow, in tokens; zero if they do not say.
fn max_tokens(parameters: Option<&Value>) -> usize {
    ["max_tokens", "max_completion_tokens"]
        .iter()
        .filter_map(|key| parameters?.get(key)?.as_u64())
        .max()
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(0)
}

fn summary(prompt: usize, answer: usize, window: usize) -> String {
    let answer = if answer == 0 {
        String::new()
    } else {
        format!(" and up to {} for the answer", grouped(answer))
    };
    format!(
        "{} tokens with a typical request{answer}; the model takes {}.",
        grouped(prompt),
        grouped(window)
    )
}

fn too_long(prompt: usize, answer: usize, window: usize, content: &PromptContent) -> Finding {
    let over = prompt.saturating_add(answer).saturating_sub(window);
    let file = content.messages.iter().find_map(|message| match message {
        domain::snapshot::PromptMessage::Template { file, .. } => Some(file.as_str()),
        domain::snapshot::PromptMessage::Conversation => None,
    });
    let reserve = if answer == 0 {
        String::new()
    } else {
        format!(" and the answer may take {}", grouped(answer))
    };
    let message = format!(
        "The prompt is {} tokens with a typical request{reserve}; this model takes {}. Shorten it by about {} tokens or choose a model with more room.",
        grouped(prompt),
        grouped(window),
        grouped(rounded(over))
    );
    let mend = if answer > 0 && prompt <= window {
        format!(
            "Cut about {} tokens, lower `max_tokens`, or choose a model with a larger context window.",
            grouped(rounded(over))
        )
    } else {
        format!(
            "Cut about {} tokens, or choose a model with a larger context window.",
            grouped(rounded(over))
        )
    };
    finding(Severity::Error, "too_long", message).file(file.unwrap_or("prompt.yaml")).because(
        "The provider refuses requests that do not fit, so typical requests would fail.",
        mend,
    )
}

fn no_example(name: &str, app_file: &str) -> Finding {
    finding(
        Severity::Note,
        "no_example",
        format!("The variable `{name}` has no example, so its length is not counted."),
    )
    .field(app_file, &format!("variables.{name}.example"))
    .because(
        "The length of a prompt is checked with the examples of its variables.",
        format!("Give `{name}` an `example` of typical length in `app.yaml`."),
    )
}

fn unknown_tokenizer(error: &UnknownTokenizer, model_file: &str) -> Fit {
    let near = nearest(&error.name, TOKENIZERS);
    let guess = near.map(|near| format!(" Did you mean `{near}`?")).unwrap_or_default();
    let message = format!("`{}` is not a tokenizer.{guess}", error.name);
    let found = finding(Severity::Error, "unknown_tokenizer", message)
        .field(model_file, "tokenizer")
        .replacement(near)
        .because(
            "Without the model's own tokenizer the length of a prompt cannot be checked.",
            format!("Use one of {}.", listed(TOKENIZERS, 8)),
        );
    Fit { summary: "The length was not checked.".into(), findings: vec![found] }
}

fn vocabulary(name: &str) -> Result<&'static CoreBPE, UnknownTokenizer> {
    match name {
        "cl100k_base" => Ok(cl100k_base_singleton()),
        "o200k_base" => Ok(o200k_base_singleton()),
        other => Err(UnknownTokenizer { name: other.to_owned() }),
    }
}

/// Where to cut a long text: at its last space if there is one.
fn cut(text: &str) -> usize {
    if text.len() <= PIECE_BYTES {
        return text.len();
    }
    let end = floor_boundary(text, PIECE_BYTES);
    let space = text.get(..end).and_then(|head| head.rfind(char::is_whitespace));
    space.filter(|at| *at > 0).unwrap_or(end)
}

/// Up to two figures, upwards: 928 → 930.
fn rounded(n: usize) -> usize {
    let step = match n {
        0..100 => 1,
        100..1_000 => 10,
        1_000..10_000 => 100,
        _ => 1_000,
    };
    n.div_ceil(step).saturating_mul(step)
}

/// 9120 → `9,120`.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_vocabularies() {
        // As OpenAI's own tokenizer counts them.
        assert_eq!(count("cl100k_base", "tiktoken is great!"), Ok(6));
        assert_eq!(count("o200k_base", "tiktoken is great!"), Ok(6));
        assert_eq!(count("o200k_base", ""), Ok(0));
        assert!(count("gpt2", "x").is_err());
    }

    #[test]
    fn long_texts_count_like_the_sum_of_their_words() {
        let text = "word ".repeat(40_000);
        let counted = count("cl100k_base", &text).unwrap();
        assert!((40_000..40_010).contains(&counted), "{counted}");
        let spaces = " ".repeat(300_000);
        assert!(count("cl100k_base", &spaces).unwrap() < 10_000);
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            (grouped(9120), grouped(12), grouped(1_000_000)),
            ("9,120".into(), "12".into(), "1,000,000".into())
        );
        assert_eq!((rounded(928), rounded(7), rounded(1201)), (930, 7, 1300));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_counted(text in "\\PC{0,100}") {
            let counted = count("cl100k_base", &text).unwrap();
            proptest::prop_assert!(counted <= text.len());
        }
    }
}
