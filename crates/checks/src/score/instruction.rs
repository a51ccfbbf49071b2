//! Scores, verifiable instructions: the 25 of IFEval, under its names and with
//! its settings (Zhou et al. 2023, "Instruction-Following Evaluation for Large
//! Language Models"), in the strict reading.
//!
//! Where the reference picks a setting at random, here it must be written.
//! Keywords are plain texts, not regular expressions.

mod form;
mod words;

use super::Fault;
use super::rule::short;
use domain::suite::InstructionRule;
use serde_json::{Map, Value};

/// Longest list of keywords.
const MAX_KEYWORDS: usize = 100;

/// At least or fewer than a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    n: u64,
    fewer: bool,
}

impl Count {
    fn check(self, found: usize, what: &str) -> Result<(), String> {
        let found = found as u64;
        match self.fewer {
            true if found >= self.n => {
                Err(format!("the answer has {found} {what}; wanted are fewer than {}", self.n))
            }
            false if found < self.n => {
                Err(format!("the answer has {found} {what}; wanted are at least {}", self.n))
            }
            _ => Ok(()),
        }
    }
}

/// An instruction with its settings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Instruction {
    Existence(Vec<String>),
    Frequency { keyword: String, count: Count },
    Forbidden(Vec<String>),
    LetterFrequency { letter: char, count: Count },
    Language(&'static str),
    Sentences(Count),
    Paragraphs(u64),
    Words(Count),
    NthParagraph { paragraphs: u64, nth: u64, word: String },
    Placeholders(u64),
    Postscript(String),
    Bullets(u64),
    Constrained,
    Highlights(u64),
    Sections { splitter: String, count: u64 },
    Json,
    Title,
    TwoResponses,
    RepeatPrompt(String),
    EndChecker(String),
    Quotation,
    CapitalWords(Count),
    AllCapital,
    AllLowercase,
    NoComma,
}

/// Every instruction and its settings.
const KNOWN: [(&str, &[&str]); 25] = [
    ("keywords:existence", &["keywords"]),
    ("keywords:frequency", &["keyword", "frequency", "relation"]),
    ("keywords:forbidden_words", &["forbidden_words"]),
    ("keywords:letter_frequency", &["letter", "let_frequency", "let_relation"]),
    ("language:response_language", &["language"]),
    ("length_constraints:number_sentences", &["num_sentences", "relation"]),
    ("length_constraints:number_paragraphs", &["num_paragraphs"]),
    ("length_constraints:number_words", &["num_words", "relation"]),
    (
        "length_constraints:nth_paragraph_first_word",
        &["num_paragraphs", "nth_paragraph", "first_word"],
    ),
    ("detectable_content:number_placeholders", &["num_placeholders"]),
    ("detectable_content:postscript", &["postscript_marker"]),
    ("detectable_format:number_bullet_lists", &["num_bullets"]),
    ("detectable_format:constrained_response", &[]),
    ("detectable_format:number_highlighted_sections", &["num_highlights"]),
    ("detectable_format:multiple_sections", &["section_spliter", "num_sections"]),
    ("detectable_format:json_format", &[]),
    ("detectable_format:title", &[]),
    ("combination:two_responses", &[]),
    ("combination:repeat_prompt", &["prompt_to_repeat"]),
    ("startend:end_checker", &["end_phrase"]),
    ("startend:quotation", &[]),
    ("change_case:capital_word_frequency", &["capital_frequency", "capital_relation"]),
    ("change_case:english_capital", &[]),
    ("change_case:english_lowercase", &[]),
    ("punctuation:no_comma", &[]),
];

/// The settings of one instruction, read by name.
struct With<'a>(&'a Map<String, Value>);

impl With<'_> {
    fn fault(name: &str, wanted: &str) -> Fault {
        Fault::new(
            &format!("instruction.with.{name}"),
            "bad_check",
            format!("`{name}` must be {wanted}"),
            "write it as IFEval does; `docs/scores.md` lists every setting",
        )
    }

    fn text(&self, name: &str) -> Result<String, Fault> {
        match self.0.get(name).and_then(Value::as_str) {
            Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
            _ => Err(Self::fault(name, "a text")),
        }
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, Fault> {
        let wanted = || Self::fault(name, "a list of texts");
        let list = self.0.get(name).and_then(Value::as_array).ok_or_else(wanted)?;
        let texts: Option<Vec<String>> = list
            .iter()
            .map(|text| text.as_str().filter(|t| !t.trim().is_empty()).map(str::to_owned))
            .collect();
        texts.filter(|texts| !texts.is_empty() && texts.len() <= MAX_KEYWORDS).ok_or_else(wanted)
    }

    fn number(&self, name: &str) -> Result<u64, Fault> {
        let number = self.0.get(name).and_then(Value::as_u64);
        number.ok_or_else(|| Self::fault(name, "a whole number from 0"))
    }

    fn count(&self, number: &str, relation: &str) -> Result<Count, Fault> {
        let n = self.number(number)?;
        let fewer = match self.0.get(relation).and_then(Value::as_str) {
            Some("less than") => true,
            Some("at least") => false,
            _ => return Err(Self::fault(relation, "`at least` or `less than`")),
        };
        Ok(Count { n, fewer })
    }

    fn letter(&self, name: &str) -> Result<char, Fault> {
        let text = self.text(name)?.to_lowercase();
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(letter), None) => Ok(letter),
            _ => Err(Self::fault(name, "one letter")),
        }
    }
}

impl Instruction {
    /// Reads an instruction.
    pub(crate) fn new(rule: &InstructionRule) -> Result<Self, Fault> {
        let Some((_, settings)) = KNOWN.iter().find(|(id, _)| *id == rule.id) else {
            let near = crate::suggest::nearest(&rule.id, KNOWN.iter().map(|(id, _)| *id));
            let mut fault = Fault::new(
                "instruction.id",
                "unknown_instruction",
                format!("`{}` is no instruction of IFEval", short(&rule.id)),
                near.map_or_else(
                    || "write one of those in `docs/scores.md`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                ),
            );
            fault.replacement = near.map(str::to_owned);
            return Err(fault);
        };
        let given = rule.with.iter().filter(|(_, value)| !value.is_null());
        if let Some((unknown, _)) = given.clone().find(|(key, _)| !settings.contains(&key.as_str()))
        {
            return Err(Fault::new(
                &format!("instruction.with.{unknown}"),
                "unknown_field",
                format!("`{unknown}` is no setting of `{}`", rule.id),
                match settings {
                    [] => "remove it; the instruction has none".to_owned(),
                    settings => {
                        format!(
                            "its settings are {}",
                            crate::suggest::listed(settings.iter().copied(), 4)
                        )
                    }
                },
            ));
        }
        let with = With(&rule.with);
        Ok(match rule.id.as_str() {
            "keywords:existence" => Self::Existence(with.texts("keywords")?),
            "keywords:frequency" => Self::Frequency {
                keyword: with.text("keyword")?,
                count: with.count("frequency", "relation")?,
            },
            "keywords:forbidden_words" => Self::Forbidden(with.texts("forbidden_words")?),
            "keywords:letter_frequency" => Self::LetterFrequency {
                letter: with.letter("letter")?,
                count: with.count("let_frequency", "let_relation")?,
            },
            "language:response_language" => {
                Self::Language(super::language::known(&with.text("language")?)?)
            }
            "length_constraints:number_sentences" => {
                Self::Sentences(with.count("num_sentences", "relation")?)
            }
            "length_constraints:number_paragraphs" => {
                Self::Paragraphs(with.number("num_paragraphs")?)
            }
            "length_constraints:number_words" => Self::Words(with.count("num_words", "relation")?),
            "length_constraints:nth_paragraph_first_word" => Self::NthParagraph {
                paragraphs: with.number("num_paragraphs")?,
                nth: with.number("nth_paragraph")?,
                word: with.text("first_word")?.to_lowercase(),
            },
            "detectable_content:number_placeholders" => {
                Self::Placeholders(with.number("num_placeholders")?)
            }
            "detectable_content:postscript" => Self::Postscript(with.text("postscript_marker")?),
            "detectable_format:number_bullet_lists" => Self::Bullets(with.number("num_bullets")?),
            "detectable_format:constrained_response" => Self::Constrained,
            "detectable_format:number_highlighted_sections" => {
                Self::Highlights(with.number("num_highlights")?)
            }
            "detectable_format:multiple_sections" => Self::Sections {
                splitter: with.text("section_spliter")?,
                count: with.number("num_sections")?,
            },
            "detectable_format:json_format" => Self::Json,
            "detectable_format:title" => Self::Title,
            "combination:two_responses" => Self::TwoResponses,
            "combination:repeat_prompt" => Self::RepeatPrompt(with.text("prompt_to_repeat")?),
            "startend:end_checker" => Self::EndChecker(with.text("end_phrase")?),
            "startend:quotation" => Self::Quotation,
            "change_case:capital_word_frequency" => {
                Self::CapitalWords(with.count("capital_frequency", "capital_relation")?)
            }
            "change_case:english_capital" => Self::AllCapital,
            "change_case:english_lowercase" => Self::AllLowercase,
            _ => Self::NoComma,
        })
    }

    /// Asks it of an answer.
    pub(crate) fn kept(&self, answer: &str) -> Result<(), String> {
        match self {
            Self::Existence(keywords) => words::existence(answer, keywords),
            Self::Frequency { keyword, count } => {
                let n = words::occurrences(answer, keyword);
                count.check(n, &format!("times `{}`", short(keyword)))
            }
            Self::Forbidden(unwanted) => words::forbidden(answer, unwanted),
            Self::LetterFrequency { letter, count } => {
                let n = answer.to_lowercase().chars().filter(|c| c == letter).count();
                count.check(n, &format!("letters `{letter}`"))
            }
            Self::Language(code) => super::language::kept(answer, code),
            Self::Sentences(count) => count.check(words::sentences(answer), "sentences"),
            Self::Paragraphs(n) => form::paragraphs(answer, *n),
            Self::Words(count) => count.check(words::count(answer), "words"),
            Self::NthParagraph { paragraphs, nth, word } => {
                form::nth_paragraph(answer, *paragraphs, *nth, word)
            }
            Self::Placeholders(n) => {
                Count { n: *n, fewer: false }.check(form::placeholders(answer), "placeholders")
            }
            Self::Postscript(marker) => form::postscript(answer, marker),
            Self::Bullets(n) => form::bullets(answer, *n),
            Self::Constrained => form::constrained(answer),
            Self::Highlights(n) => Count { n: *n, fewer: false }
                .check(form::highlights(answer), "highlighted sections"),
            Self::Sections { splitter, count } => {
                let n = form::sections(answer, splitter);
                Count { n: *count, fewer: false }.check(n, "sections")
            }
            Self::Json => form::json(answer),
            Self::Title => form::title(answer),
            Self::TwoResponses => form::two_responses(answer),
            Self::RepeatPrompt(prompt) => form::repeats(answer, prompt),
            Self::EndChecker(phrase) => form::ends(answer, phrase),
            Self::Quotation => form::quoted(answer),
            Self::CapitalWords(count) => {
                count.check(words::capitals(answer), "words in capital letters")
            }
            Self::AllCapital => words::all_capital(answer),
            Self::AllLowercase => words::all_lowercase(answer),
            Self::NoComma => match answer.matches(',').count() {
                0 => Ok(()),
                n => Err(format!("the answer has {n} commas")),
            },
        }
    }
}

#[cfg(test)]
mod tests;
