use super::*;
use domain::facts::{CostFacts, ModelFacts, PolicyCase, PolicyExpectation, Verdict};
use domain::finding::{Finding, GateOutcome};
use domain::people::Role;
use proptest::prelude::*;

const COST: &str = r#"
@id("cost-spike")
@because("it costs over a fifth more")
@requires("finance:1")
forbid (principal, action == Action::"release", resource)
when { context.cost has change_percent && context.cost.change_percent > 20 };
"#;

const CONTRACT: &str = r#"
@id("high-risk-names-contract")
@because("high risk needs a contract with the provider")
@satisfy("add `contract` to `labels` in models/<name>.yaml")
forbid (principal, action == Action::"release", resource)
when { resource.risk == "high" }
unless { context.model.hasTag("contract") };
"#;

const RESIDENCY: &str = r#"
@id("residency")
@satisfy("choose a model of that region")
forbid (principal, action == Action::"release", resource)
when { resource.hasTag("residency") }
unless {
  context.model.hasTag("region") && context.model.getTag("region") == resource.getTag("residency")
};
@id("agents-leave-plans-alone")
@satisfy("let a person change the plan")
forbid (principal in Role::"agent", action == Action::"propose", resource)
when { context.changed.contains("plan") };
@id("ends-soon")
@severity("warning")
forbid (principal, action == Action::"release", resource)
when { context.model has days_until_deprecated && context.model.days_until_deprecated < 30 };
@id("auditors-do-not-approve-high-risk")
@satisfy("ask somebody else")
forbid (principal in Role::"auditor", action == Action::"approve", resource)
when { resource.risk == "high" };
"#;

fn files(texts: &[&str]) -> BTreeMap<String, String> {
    let named = |(i, text): (usize, &&str)| (format!("policies/{i}.cedar"), (*text).to_owned());
    texts.iter().enumerate().map(named).collect()
}

fn compiled(texts: &[&str]) -> Policies {
    let (policies, findings) = compile(&files(texts));
    assert_eq!(findings, []);
    policies
}

fn person(name: &str, roles: &[Role]) -> AuthorFacts {
    AuthorFacts { name: name.to_owned(), roles: roles.iter().copied().collect() }
}

fn facts() -> Facts {
    Facts { authors: vec![person("ana", &[Role::Editor])], ..Facts::default() }
}

fn release(policies: &Policies, facts: &Facts) -> Outcome {
    policies.decide(PolicyAction::Release, &facts.authors[0], facts)
}

fn codes(text: &str) -> Vec<(String, Option<u32>)> {
    let (_, findings) = compile(&files(&[text]));
    findings.into_iter().map(|f| (f.code, f.place.and_then(|p| p.line))).collect()
}

#[test]
fn what_no_policy_forbids_is_allowed() {
    let policies = compiled(&[COST, CONTRACT, RESIDENCY]);
    assert_eq!(policies.len(), 6);
    assert_eq!(release(&policies, &facts()), Outcome::default());
    assert_eq!(release(&Policies::default(), &facts()), Outcome::default());
}

#[test]
fn every_policy_that_says_no_is_named() {
    let policies = compiled(&[CONTRACT, RESIDENCY]);
    let mut facts = facts();
    facts.app.risk = "high".to_owned();
    facts.app.labels.insert("residency".to_owned(), "eu".to_owned());
    let no = release(&policies, &facts);
    assert!(!no.allowed());
    assert_eq!(no.deniers(), ["high-risk-names-contract", "residency"].map(str::to_owned).into());
    assert_eq!(no.denied[0].line, 2);
    facts.model.labels =
        [("contract", "dpa"), ("region", "us")].map(|(k, v)| (k.into(), v.into())).into();
    assert_eq!(release(&policies, &facts).deniers(), ["residency".to_owned()].into());
    facts.model.labels.insert("region".to_owned(), "eu".to_owned());
    assert!(release(&policies, &facts).allowed());
}

#[test]
fn approvals_are_asked_for_and_what_is_unknown_is_not_zero() {
    let policies = compiled(&[COST]);
    let with = |cost| Facts { cost, ..facts() };
    assert_eq!(release(&policies, &with(CostFacts::default())), Outcome::default());
    let spike = release(&policies, &with(CostFacts::of(Some(130), Some(100), None)));
    assert!(spike.allowed(), "an approval that is missing is no denial");
    assert_eq!(spike.asks(), [Ask { role: Role::Finance, count: 1 }].into());
    let same = release(&policies, &with(CostFacts::of(Some(120), Some(100), None)));
    assert_eq!(same.asks(), BTreeSet::new());
}

#[test]
fn people_agents_and_approvers_are_told_apart() {
    let policies = compiled(&[RESIDENCY]);
    let mut facts = facts();
    facts.changed = ["plan".to_owned()].into();
    let agent = person("bot", &[Role::Agent]);
    facts.authors.push(agent.clone());
    assert!(policies.decide(PolicyAction::Propose, &facts.authors[0], &facts).allowed());
    let no = policies.decide(PolicyAction::Propose, &agent, &facts);
    assert_eq!(no.deniers(), ["agents-leave-plans-alone".to_owned()].into());
    let auditor = person("lea", &[Role::Auditor, Role::Approver]);
    assert!(policies.decide(PolicyAction::Approve, &auditor, &facts).allowed());
    facts.app.risk = "high".to_owned();
    assert!(!policies.decide(PolicyAction::Approve, &auditor, &facts).allowed());
}

#[test]
fn a_warning_stops_nothing() {
    let policies = compiled(&[RESIDENCY]);
    let model = ModelFacts { days_until_deprecated: Some(3), ..ModelFacts::default() };
    let outcome = release(&policies, &Facts { model, ..facts() });
    assert!(outcome.allowed());
    assert_eq!(outcome.told[0].1, Severity::Warning);
}

#[test]
fn a_policy_that_fails_denies() {
    // Cedar itself skips it: the sum does not fit 64 bits.
    let policies = compiled(&[r#"
@id("overflow") @satisfy("nothing")
forbid (principal, action == Action::"release", resource)
when { context.cost has change_percent && context.cost.change_percent + 1 > 0 };"#]);
    let cost = CostFacts { change_percent: Some(i64::MAX), ..CostFacts::default() };
    let outcome = release(&policies, &Facts { cost, ..facts() });
    assert!(!outcome.allowed());
    assert_eq!(outcome.broken[0].rule.id, "overflow");
    assert!(outcome.broken[0].problem.contains("overflow"), "{:?}", outcome.broken);
}

#[test]
fn faults_have_a_code_and_a_line() {
    let body = "forbid (principal, action == Action::\"release\", resource)";
    for (text, code, line) in [
        ("\nforbid (principal action, resource);".to_owned(), "bad_cedar", 2),
        (
            format!("@id(\"a\")\n@satisfy(\"b\")\n{body}\nwhen {{ context.coost.x > 1 }};"),
            "bad_policy",
            4,
        ),
        (
            format!(
                "@id(\"a\")\n@satisfy(\"b\")\n{body}\nwhen {{ context.cost.change_percent > 1 }};"
            ),
            "bad_policy",
            4,
        ),
        (
            format!("@id(\"a\")\n@satisfy(\"b\")\n{body}\nwhen {{ principal in Role::\"boss\" }};"),
            "bad_policy",
            4,
        ),
        (
            format!(
                "\n\n@id(\"a\")\n@satisfy(\"b\")\n{body}\nwhen {{ resource.risk == \"hihg\" }};"
            ),
            "unknown_word",
            3,
        ),
        (
            format!(
                "@id(\"a\")\n@satisfy(\"b\")\n{body}\nwhen {{ [\"policy\"].containsAny(context.changed) }};"
            ),
            "unknown_word",
            1,
        ),
        (format!("@id(\"a\")\n{body};"), "no_way_to_satisfy", 1),
        (format!("\n{body};"), "bad_policy_id", 2),
        ("permit (principal, action, resource);".to_owned(), "permit_policy", 1),
        (
            "@id(\"a\")\nforbid (principal == ?principal, action, resource);".to_owned(),
            "policy_template",
            1,
        ),
        (
            format!("@id(\"a\") @satisfy(\"b\") {body};\n@id(\"a\") @satisfy(\"b\") {body};"),
            "policy_id_taken",
            2,
        ),
        (
            format!("@id(\"a\") @satisfy(\"b\") {body} when {{ {} }};", "(".repeat(50)),
            "too_deep",
            1,
        ),
    ] {
        assert_eq!(codes(&text), [(code.to_owned(), Some(line))], "{text}");
    }
    let large = format!("// {}", "x".repeat(MAX_FILE_LEN));
    assert_eq!(codes(&large), [("too_large".to_owned(), None)]);
}

#[test]
fn what_reads_holds_beside_what_does_not() {
    let (policies, findings) = compile(&files(&[
        "forbid (",
        CONTRACT,
        "@id(\"x\") permit (principal, action, resource);",
    ]));
    assert_eq!(findings.len(), 2);
    let mut facts = facts();
    facts.app.risk = "high".to_owned();
    assert!(!release(&policies, &facts).allowed());
}

fn input<'a>(
    facts: &'a Facts,
    branch: &'a Policies,
    main: &'a Policies,
    cases: &'a BTreeMap<String, Vec<PolicyCase>>,
    others: &'a [Other],
) -> PolicyInput<'a> {
    PolicyInput {
        facts: Some(facts),
        branch,
        faults: &[],
        main,
        main_faults: &[],
        edited: true,
        cases,
        others,
    }
}

fn said(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings.iter().map(|f| (f.code.as_str(), f.message.as_str())).collect()
}

#[test]
fn a_change_cannot_weaken_the_policy_it_is_judged_by() {
    let (strict, weak) = (compiled(&[COST, CONTRACT]), compiled(&[]));
    let mut facts = facts();
    facts.app.risk = "high".to_owned();
    facts.cost = CostFacts::of(Some(2), Some(1), None);
    for (branch, main, suffix) in
        [(&weak, &strict, " (as it is on `main`)"), (&strict, &weak, ""), (&strict, &strict, "")]
    {
        let result = gate(&input(&facts, branch, main, &BTreeMap::new(), &[]));
        assert_eq!(result.outcome, GateOutcome::Failed);
        assert_eq!(
            said(&result.findings),
            [
                (
                    "policy_denied",
                    format!("policy `high-risk-names-contract` forbids this release{suffix}")
                        .as_str()
                ),
                (
                    "policy_requires",
                    format!("policy `cost-spike` asks for 1 × finance before this release{suffix}")
                        .as_str()
                ),
            ]
        );
        assert_eq!(result.findings[0].mend, "add `contract` to `labels` in models/<name>.yaml");
        let needs = requirements(&facts, branch, main);
        assert_eq!((needs.len(), needs[0].role, needs[0].count), (1, Role::Finance, 1));
        assert_eq!(needs[0].policy.as_deref(), Some("cost-spike"));
        assert_eq!(needs[0].reason, "policy `cost-spike`: it costs over a fifth more");
    }
}

#[test]
fn examples_and_past_changes_show_what_an_edit_does() {
    let (before, after) = (compiled(&[]), compiled(&[COST, CONTRACT]));
    let case = |name: &str, percent, requires: &[&str]| PolicyCase {
        name: name.to_owned(),
        action: PolicyAction::Release,
        by: None,
        facts: Facts {
            cost: CostFacts { change_percent: Some(percent), ..CostFacts::default() },
            ..Facts::default()
        },
        expect: PolicyExpectation {
            decision: Verdict::Allow,
            denied_by: None,
            requires: Some(requires.iter().map(|r| (*r).to_owned()).collect()),
            warned_by: Some(BTreeSet::new()),
        },
    };
    let good = case("a spike", 50, &["finance"]);
    assert!(run_case(&after, &good).passed);
    let bad = case("no spike", 10, &["finance:1"]);
    let result = run_case(&after, &bad);
    assert_eq!(result.differences, ["requires: expected `finance:1`, got nothing"]);
    let cases = BTreeMap::from([("policies/tests/a.yaml".to_owned(), vec![good, bad])]);
    let mut risky = facts();
    risky.app.risk = "high".to_owned();
    let others = [
        Other { name: "CH-1".to_owned(), facts: facts() },
        Other { name: "CH-2".to_owned(), facts: risky },
    ];
    let now = facts();
    let result = gate(&input(&now, &after, &before, &cases, &others));
    assert_eq!(
        said(&result.findings),
        [
            (
                "policy_example_failed",
                "the example `no spike` fails: requires: expected `finance:1`, got nothing"
            ),
            (
                "decided_differently",
                "of the last 2 changes, 1 would have been decided differently: CH-2: allowed → denied by high-risk-names-contract"
            ),
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        compile(&files(&[&text]));
    }

    /// Pieces of real policies in any order: gets past the parser now and then.
    #[test]
    fn no_shuffled_policy_panics(pieces in prop::collection::vec(prop::sample::select(vec![
        "@id(\"a\")", "@satisfy(\"b\")", "@requires(\"finance:1\")", "forbid", "permit",
        "(principal, action == Action::\"release\", resource)", "(principal, action, resource)",
        "when", "unless", "{", "}", "context.cost has change_percent", "context.cost.change_percent",
        ">", "1", "\"x\"", "&&", "!", "(", ")", "resource.hasTag(\"a\")", "resource.getTag(\"a\")",
        ".contains(", "context.changed", "if", "then", "else", "//", "\n", ";", "9223372036854775807", "*", "like", "is App",
    ]), 0..30)) {
        let (policies, _) = compile(&files(&[&pieces.join(" ")]));
        release(&policies, &facts());
    }

    /// Adding a policy never turns a no into a yes and never asks less.
    #[test]
    fn more_policies_are_stricter(percent in prop::option::of(-50_i64..100), risk in 0_usize..3, first in any::<bool>()) {
        let mut facts = facts();
        facts.app.risk = domain::facts::RISKS[risk].to_owned();
        facts.cost.change_percent = percent;
        let (few, more) = if first { (&[COST][..], &[COST, CONTRACT][..]) } else { (&[CONTRACT][..], &[CONTRACT, COST][..]) };
        let (few, more) = (release(&compiled(few), &facts), release(&compiled(more), &facts));
        prop_assert!(few.allowed() || !more.allowed());
        prop_assert!(few.asks().is_subset(&more.asks()));
    }
}

const CALLS: &str = r#"
@id("no-promotion-into-the-weekend")
@satisfy("wait until Monday")
forbid (principal, action == Action::"promote", resource)
when { ["sat", "sun"].contains(context.weekday) || (context.weekday == "fri" && context.hour >= 14) };

@id("by-hand")
@satisfy("use the page")
forbid (principal, action in [Action::"resume", Action::"promote"], resource)
when { resource.audience == "customer" && context.token };

@id("only-sam")
@satisfy("ask Sam")
forbid (principal, action == Action::"make_token", resource)
unless { principal.name == "sam" };
"#;

#[test]
fn what_is_no_change_is_asked_about_by_person_role_app_and_time() {
    use domain::facts::CallFacts;
    let policies = compiled(&[CALLS, CONTRACT]);
    let priya = person("priya", &[Role::Approver]);
    let asked = |action, who: &AuthorFacts, weekday: &str, hour, token, audience: &str| {
        let mut facts = facts();
        facts.call = CallFacts { token, weekday: weekday.to_owned(), hour };
        facts.app.audience = audience.to_owned();
        // Risk without a contract: no call is asked about what a release carries.
        facts.app.risk = "high".to_owned();
        policies.decide(action, who, &facts).deniers().into_iter().collect::<Vec<_>>()
    };
    use PolicyAction::{Clear, MakeToken, Promote, Resume, Unkill};
    let none: [&str; 0] = [];
    assert_eq!(asked(Promote, &priya, "fri", 13, false, "customer"), none);
    assert_eq!(
        asked(Promote, &priya, "fri", 14, false, "customer"),
        ["no-promotion-into-the-weekend"]
    );
    assert_eq!(
        asked(Promote, &priya, "sun", 0, true, "customer"),
        ["by-hand", "no-promotion-into-the-weekend"]
    );
    assert_eq!(asked(Promote, &priya, "wed", 0, true, "internal"), none);
    assert_eq!(asked(Resume, &priya, "sat", 9, true, "customer"), ["by-hand"]);
    assert_eq!(asked(Unkill, &priya, "sat", 9, true, "customer"), none);
    assert_eq!(asked(Clear, &priya, "sat", 9, true, "customer"), none);
    assert_eq!(asked(MakeToken, &priya, "wed", 9, false, "internal"), ["only-sam"]);
    assert_eq!(asked(MakeToken, &person("sam", &[]), "wed", 9, false, "internal"), none);
}

#[test]
fn a_policy_about_calls_reads_only_what_calls_have() {
    let head = "@id(\"a\") @satisfy(\"b\")\n";
    let of_a_change = format!(
        "{head}forbid (principal, action == Action::\"promote\", resource) when {{ context.first }};"
    );
    assert_eq!(codes(&of_a_change)[0].0, "bad_policy");
    let of_an_app = format!(
        "{head}forbid (principal, action == Action::\"make_token\", resource) when {{ resource.risk == \"high\" }};"
    );
    assert_eq!(codes(&of_an_app)[0].0, "bad_policy");
    let day = format!(
        "{head}forbid (principal, action == Action::\"promote\", resource) when {{ context.weekday == \"Sat\" }};"
    );
    assert_eq!(codes(&day)[0].0, "unknown_word");
}
