//! From the files under `policies/` to policies that can be asked.
//!
//! Every fault of every file is a finding with its line. What reads is kept
//! beside the faults: the policies that are in force on `main` must hold even if
//! one of their neighbours cannot be read.

use super::rule::{self, Rule};
use super::{ALLOWED, Policies, scan, schema, with_stack, words};
use crate::finding::finding;
use crate::source::Source;
use cedar_policy::{
    ActionConstraint, Effect, Policy, PolicyId, PolicySet, ValidationMode, Validator,
};
use domain::finding::{Finding, Severity};
use miette::Diagnostic;
use std::collections::BTreeMap;
use std::ops::Range;

/// Largest file of policies, in bytes.
pub const MAX_FILE_LEN: usize = 64 * 1024;
/// Most files of policies.
pub const MAX_FILES: usize = 100;
/// Most policies in all files together.
pub const MAX_POLICIES: usize = 500;
/// Most faults shown for one file.
const MAX_FAULTS: usize = 25;

/// Reads and checks policies, by path. What is faulty is left out and a finding.
pub fn compile(files: &BTreeMap<String, String>) -> (Policies, Vec<Finding>) {
    with_stack(|| {
        let mut reader = Reader::default();
        for (at, (file, text)) in files.iter().enumerate() {
            if at >= MAX_FILES {
                reader.findings.push(too_many(file, "files of policies", MAX_FILES));
                break;
            }
            reader.file(file, text);
        }
        reader.checked()
    })
}

#[derive(Default)]
struct Reader<'a> {
    policies: Policies,
    sources: BTreeMap<String, (Source<'a>, Range<usize>)>,
    findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    fn file(&mut self, file: &'a str, text: &'a str) {
        let source = Source::new(file, text);
        if text.len() > MAX_FILE_LEN {
            let message =
                format!("The file has {} bytes; at most {MAX_FILE_LEN} are read.", text.len());
            self.findings.push(
                finding(Severity::Error, "too_large", message)
                    .file(file)
                    .because("Limits keep one file from stopping all checks.", "Split the file."),
            );
            return;
        }
        if let Some(much) = scan::bounds(text) {
            self.fault(&source, much.range, "too_deep", much.problem, "write it as two policies");
            return;
        }
        let set = match text.parse::<PolicySet>() {
            Ok(set) => set,
            Err(errors) => {
                for error in errors.iter().take(MAX_FAULTS) {
                    self.cedar(&source, "bad_cedar", error, 0..0);
                }
                return;
            }
        };
        for template in set.templates() {
            let message =
                format!("`?principal` and `?resource` have nobody to stand for: {template}");
            self.fault(&source, 0..0, "policy_template", message, "write the policy without them");
        }
        let mut policies: Vec<&Policy> = set.policies().collect();
        policies.sort_by_key(|policy| span_of(policy).start);
        for policy in policies {
            self.policy(&source, policy);
        }
    }

    fn policy(&mut self, source: &Source<'a>, policy: &Policy) {
        let span = span_of(policy);
        if policy.effect() == Effect::Permit {
            self.fault(
                source,
                span,
                "permit_policy",
                "a `permit` does nothing here: what no `forbid` matches is allowed".to_owned(),
                "write what must not be, for example `forbid (…) unless { … }`",
            );
            return;
        }
        let (line, _) = source.line_column(span.start);
        let released = matches!(
            policy.action_constraint(),
            ActionConstraint::Eq(action) if action.to_string() == "Action::\"release\""
        );
        let file = source.place(0..0).file;
        let annotations = policy.annotations();
        let rule = match rule::read(annotations, released, (&file, line)) {
            Ok(rule) => rule,
            Err(faults) => {
                for (code, message, mend) in faults {
                    self.fault(source, span.clone(), code, message, &mend);
                }
                return;
            }
        };
        if let Some(known) = self.policies.rules.get(&rule.id) {
            let message = format!(
                "`{}` is the id of another policy too ({}:{})",
                rule.id, known.file, known.line
            );
            self.fault(
                source,
                span,
                "policy_id_taken",
                message,
                "give each policy an id of its own",
            );
            return;
        }
        if self.policies.rules.len() >= MAX_POLICIES {
            if self.policies.rules.len() == MAX_POLICIES {
                self.findings.push(too_many(&file, "policies", MAX_POLICIES));
            }
            return;
        }
        for (message, mend) in
            policy.to_json().map(|json| words::unknown(&json)).unwrap_or_default()
        {
            self.fault(source, span.clone(), "unknown_word", message, &mend);
        }
        self.keep(source, span, rule, policy);
    }

    fn keep(&mut self, source: &Source<'a>, span: Range<usize>, rule: Rule, policy: &Policy) {
        let named = policy.new_id(PolicyId::new(&rule.id));
        if self.policies.set.add(named).is_ok() {
            self.sources.insert(rule.id.clone(), (source.clone(), span));
            self.policies.rules.insert(rule.id.clone(), rule);
        }
    }

    /// Checks all that was read against the schema, and drops what fails.
    fn checked(mut self) -> (Policies, Vec<Finding>) {
        let schema = match schema() {
            Ok(schema) => schema,
            Err(problem) => {
                let broken = finding(Severity::Error, "no_schema", problem);
                self.findings.push(broken.because(
                    "Without its schema no policy can be checked.",
                    "Report this: the schema is a part of the program.",
                ));
                return (Policies::default(), self.findings);
            }
        };
        let result =
            Validator::new(schema.clone()).validate(&self.policies.set, ValidationMode::Strict);
        let mut bad: Vec<String> = Vec::new();
        for error in result.validation_errors() {
            let id: &str = error.policy_id().as_ref();
            bad.push(id.to_owned());
            if let Some((source, span)) = self.sources.get(id).cloned() {
                self.cedar(&source, "bad_policy", error, span);
            }
        }
        for warning in result.validation_warnings() {
            let id: &str = warning.policy_id().as_ref();
            if let Some((source, span)) = self.sources.get(id).cloned() {
                self.cedar(&source, "policy_never_matches", warning, span);
            }
        }
        for id in bad {
            self.policies.rules.remove(&id);
            // Two faults of one policy: the second finds it gone.
            self.policies.set.remove_static(PolicyId::new(id)).ok();
        }
        let allow = "permit (principal, action, resource);";
        if let Ok(allow) = Policy::parse(Some(PolicyId::new(ALLOWED)), allow) {
            // Fails only if the name is taken; ids of policies have no colon.
            self.policies.set.add(allow).ok();
        }
        self.findings.sort_by(|a, b| a.place.cmp(&b.place).then_with(|| a.message.cmp(&b.message)));
        (self.policies, self.findings)
    }

    /// A fault in our words.
    fn fault(
        &mut self,
        source: &Source<'_>,
        span: Range<usize>,
        code: &str,
        message: String,
        mend: &str,
    ) {
        let found = finding(Severity::Error, code, message).at(source, span);
        self.findings.push(found.because(why(code), mend));
    }

    /// A fault in Cedar's words.
    fn cedar(
        &mut self,
        source: &Source<'_>,
        code: &str,
        error: &dyn CedarFault,
        policy: Range<usize>,
    ) {
        let span = error
            .labels()
            .and_then(|mut labels| labels.next())
            .map_or(policy, |label| label.offset()..label.offset().saturating_add(label.len()));
        let mend = error.help().map_or_else(
            || "see `tidegate policy schema` for what policies can say".to_owned(),
            |help| help.to_string(),
        );
        self.fault(source, span, code, error.to_string(), &mend);
    }
}

/// What Cedar's errors are.
trait CedarFault: Diagnostic {}
impl<T: Diagnostic> CedarFault for T {}

fn why(code: &str) -> &'static str {
    match code {
        "bad_cedar" => "A policy that cannot be read protects nothing.",
        "bad_policy" => "A policy that does not fit the schema could fail while it is asked.",
        "policy_never_matches" | "unknown_word" | "permit_policy" | "policy_template" => {
            "It looks like protection and is none."
        }
        "too_deep" => "Limits keep one policy from stopping all checks.",
        "bad_policy_id" | "policy_id_taken" | "no_way_to_satisfy" => {
            "Whoever is stopped must learn by which policy, and what to do."
        }
        _ => "The policy would do something else than its author meant.",
    }
}

fn too_many(file: &str, what: &str, limit: usize) -> Finding {
    finding(Severity::Error, "too_many_policies", format!("There are more than {limit} {what}."))
        .file(file)
        .because(
            "Every change is checked against every policy.",
            "Put what belongs together into one policy.",
        )
}

/// Where a policy stands in its text; its annotations included.
fn span_of(policy: &Policy) -> Range<usize> {
    let inner: &_ = policy.as_ref();
    inner.loc().map_or(0..0, |loc| loc.start()..loc.end())
}
