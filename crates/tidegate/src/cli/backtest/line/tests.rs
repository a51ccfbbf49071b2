use super::*;

fn names(share: Option<f64>) -> Names {
    let signals = ["error", "latency_ms", "cost"].map(str::to_owned).to_vec();
    Names { signals, labels: vec![("slow.human".to_owned(), 1), ("dear".to_owned(), 2)], share }
}

fn read(text: &str) -> Result<Outcome, Wrong> {
    let names = names(Some(0.1));
    let mut line = Line::new(&names);
    line.read(text.as_bytes()).map(|()| line.outcome.clone())
}

#[test]
fn a_line_is_one_outcome() {
    let outcome = read(
        r#"{"t": 12.345, "arm": "candidate", "note": {"any": [1, "thing"]}, "share": 0.25,
            "metrics": {"cost": 0.0031, "model": "m-2", "error": 0, "latency_ms": null, "odd": 1e3}}"#,
    )
    .unwrap();
    assert_eq!((outcome.at, outcome.side), (Timestamp(12_345), Side::Candidate));
    assert_eq!((outcome.share, outcome.failed), (0.25, false));
    assert_eq!(outcome.values, [(0, 0.0), (2, 0.0031)]);
    assert_eq!((outcome.unit, outcome.pair, outcome.segment), (None, None, None));
}

#[test]
fn what_one_line_says_is_not_left_for_the_next() {
    let names = names(None);
    let mut line = Line::new(&names);
    let first = r#"{"t": 1, "arm": "candidate", "metrics": {"error": 1}, "share": 1, "unit": "u",
        "segment": "s", "pair": 7, "input": "i", "answer": "a"}"#
        .replace(r#""error": 1"#, r#""error": 1, "dear": 1"#);
    line.read(first.as_bytes()).unwrap();
    assert!(line.outcome.failed && line.outcome.unit.is_some() && line.outcome.input.is_some());
    assert_eq!(line.labels().count(), 1);
    line.read(br#"{"t": 2, "arm": "baseline", "metrics": {}, "share": 0, "answer": "a"}"#).unwrap();
    assert_eq!((line.labels().count(), line.is_label()), (0, false));
    line.read(br#"{"t": 2, "arm": "baseline", "metrics": {}, "share": 0}"#).unwrap();
    let blank = Outcome { at: Timestamp(2000), ..Line::new(&names).outcome };
    assert_eq!(line.outcome, blank);
}

#[test]
fn labels_of_people_are_told_from_outcomes() {
    let names = names(Some(0.1));
    let mut line = Line::new(&names);
    let mut labels = |metrics: &str, answer: &str| {
        let text = format!(r#"{{"t": 0, "arm": "candidate", "metrics": {metrics}{answer}}}"#);
        line.read(text.as_bytes()).unwrap();
        let labels: Vec<_> = line.labels().map(|l| (l.side, l.answer, l.signal, l.value)).collect();
        (labels, line.is_label())
    };
    let named = r#", "answer": "req_1""#;
    // printf req_1 | sha256sum
    let answer = 0xdfe7_be6c_ee3b_99ca;
    let label = (Side::Candidate, answer, 1, 3.0);
    assert_eq!(labels(r#"{"slow.human": 3}"#, named), (vec![label], true));
    assert_eq!(labels(r#"{"slow.human": 3, "cost": 1}"#, named), (vec![label], false));
    assert_eq!(labels(r#"{"slow.human": 3}"#, r#", "answer": "dfe7be6cee3b99ca""#).0, [label]);
    assert_eq!(labels(r#"{"slow.human": 3}"#, ""), (vec![], true));
    assert_eq!(labels(r#"{"slow.human": null, "cost": 1}"#, named), (vec![], false));
    // Other recorders may keep the answer itself under this name.
    assert_eq!(labels(r#"{"slow.human": 3}"#, r#", "answer": {"text": "no"}"#), (vec![], true));
    let twice = br#"{"t": 0, "arm": "candidate", "metrics": {"dear": 1, "dear": 1}}"#;
    assert_eq!(line.read(twice).unwrap_err().problem, "`dear` is given twice");
}

#[test]
fn times_are_rounded_up() {
    for (seconds, ms) in
        [("0", 0), ("60", 60_000), ("60.0000001", 60_001), ("0.001", 1), ("59.9999", 60_000)]
    {
        let text = format!(r#"{{"t": {seconds}, "arm": "baseline", "metrics": {{}}}}"#);
        assert_eq!(read(&text).unwrap().at, Timestamp(ms), "{seconds}");
    }
}

#[test]
fn a_failed_answer_is_told_by_its_metric() {
    let failed = |metrics: &str| {
        let text = format!(r#"{{"t": 0, "arm": "baseline", "metrics": {metrics}}}"#);
        let outcome = read(&text).unwrap();
        (outcome.failed, outcome.values)
    };
    assert_eq!(failed(r#"{"error": 1}"#), (true, vec![(0, 1.0)]));
    assert_eq!(failed(r#"{"error": true, "cost": 2}"#), (true, vec![(0, 1.0), (2, 2.0)]));
    assert_eq!(failed(r#"{"error": 0.5}"#), (false, vec![(0, 0.5)]));
    assert_eq!(failed(r#"{"error": null}"#), (false, vec![]));
    let names = Names { signals: vec!["cost".to_owned()], labels: Vec::new(), share: Some(0.5) };
    let mut line = Line::new(&names);
    line.read(br#"{"t": 0, "arm": "baseline", "metrics": {"error": 1}}"#).unwrap();
    assert_eq!((line.outcome.failed, line.outcome.values.len()), (true, 0));
}

#[test]
fn the_share_is_the_lines_own_then_a_half_for_pairs_then_the_plans() {
    let share = |share, rest: &str| {
        let names = names(share);
        let mut line = Line::new(&names);
        let text = format!(r#"{{"t": 0, "arm": "baseline", "metrics": {{}}{rest}}}"#);
        line.read(text.as_bytes()).map(|()| line.outcome.share).map_err(|wrong| wrong.problem)
    };
    assert_eq!(share(Some(0.1), ""), Ok(0.1));
    assert_eq!(share(Some(0.1), r#", "share": null"#), Ok(0.1));
    assert_eq!(share(Some(0.1), r#", "share": 1"#), Ok(1.0));
    assert_eq!(share(Some(0.1), r#", "pair": "a""#), Ok(0.5));
    assert_eq!(share(None, r#", "pair": "a""#), Ok(0.5));
    assert_eq!(share(None, r#", "pair": "a", "share": 0.2"#), Ok(0.2));
    let missing = share(None, "").unwrap_err();
    assert!(missing.contains("`share`") && missing.contains("`planned.share`"), "{missing}");
}

#[test]
fn names_hash_alike_for_ever_as_text_or_number() {
    let unit = |value: &str| {
        let text = format!(r#"{{"t": 0, "arm": "baseline", "metrics": {{}}, "unit": {value}}}"#);
        read(&text).unwrap().unit
    };
    assert_eq!(unit(r#""u17""#), Some(0x81c5_dd0d_55c5_92ea));
    assert_eq!(unit(r#""\u007517""#), unit(r#""u17""#));
    assert_eq!(unit("17"), unit(r#""17""#));
    assert_eq!(unit("-1"), unit(r#""-1""#));
    assert_eq!(unit("0.5"), unit(r#""0.5""#));
    assert_eq!(unit("null"), None);
    assert_eq!(unit(r#""""#), None);
    assert_eq!(unit(r#""00000000000000ff""#), Some(255));
    let many: std::collections::BTreeSet<_> = (0..100_000).map(|i| unit(&i.to_string())).collect();
    assert_eq!(many.len(), 100_000);
}

#[test]
fn an_input_is_known_by_its_hash_and_may_be_anything() {
    let input = |value: &str| {
        let text = format!(r#"{{"t": 0, "arm": "baseline", "metrics": {{}}, "input": {value}}}"#);
        read(&text).unwrap().input
    };
    assert_eq!(input(r#""How do I ...?""#), input(r#""How do I ...?""#));
    assert_ne!(input(r#""How do I ...?""#), input(r#""Why?""#));
    for any in [r#"{"role": ["user"]}"#, "[1, {}]", "true", "null", r#""""#] {
        assert_eq!(input(any), None, "{any}");
    }
}

/// Everything that is refused: where, and what is said.
#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let line = |rest: &str| format!(r#"{{"t": 1, "arm": "baseline", "metrics": {{}}{rest}}}"#);
    for (text, column, says) in [
        (
            r#"{"t": 1, "arm": "canidate", "metrics": {}}"#.to_owned(),
            26,
            "`canidate` is not an arm",
        ),
        (r#"{"t": 1, "arm": 1, "metrics": {}}"#.to_owned(), 17, "`arm` as `baseline` or"),
        (r#"{"t": "1", "arm": "baseline", "metrics": {}}"#.to_owned(), 9, "`t` as a number"),
        (r#"{"t": -1, "arm": "baseline", "metrics": {}}"#.to_owned(), 8, "`t` is negative"),
        (
            r#"{"t": 1700000000, "arm": "baseline", "metrics": {}}"#.to_owned(),
            16,
            "more than ten years",
        ),
        (r#"{"t": NaN, "arm": "baseline", "metrics": {}}"#.to_owned(), 7, "`NaN`"),
        (r#"{"t": 1, "metrics": {}}"#.to_owned(), 23, "`arm` is missing"),
        (r#"{"arm": "baseline", "metrics": {}}"#.to_owned(), 34, "`t` is missing"),
        (r#"{"t": 1, "arm": "baseline", "metric": {}}"#.to_owned(), 41, "`metrics` is missing"),
        (r#"{"t": 1, "arm": "baseline", "metrics": [1]}"#.to_owned(), 39, "`metrics` as an object"),
        (
            r#"{"t": 1, "arm": "baseline", "metrics": {"error": "1"}}"#.to_owned(),
            52,
            "expected a number",
        ),
        (r#"{"t": 1, "arm": "baseline", "metrics": {"cost": NaN}}"#.to_owned(), 49, "`NaN`"),
        (
            r#"{"t": 1, "arm": "baseline", "metrics": {"cost": 1e999}}"#.to_owned(),
            53,
            "out of range",
        ),
        (
            r#"{"t": 1, "arm": "baseline", "metrics": {"cost": 1, "cost": 2}}"#.to_owned(),
            61,
            "`cost` is given twice",
        ),
        (line(r#", "arm": "candidate""#), 48, "`arm` is given twice"),
        (line(r#", "share": 1.5"#), 56, "share of 1.5 is out of range"),
        (line(r#", "share": -0.1"#), 57, "out of range"),
        (line(r#", "share": "5%""#), 56, "`share` as a number"),
        (line(r#", "unit": true"#), 55, "`unit` as text or a number"),
        (line(r#", "pair": {}"#), 53, "`pair` as text or a number"),
        (line("") + " x", 44, "trailing characters"),
        (line("").trim_end_matches('}').to_owned(), 40, "ends in the middle"),
        ("[1]".to_owned(), 1, "one JSON object a line"),
        ("nonsense".to_owned(), 2, "no JSON value"),
    ] {
        let wrong = read(&text).expect_err(&text);
        assert!(wrong.problem.contains(says), "{text}: {}", wrong.problem);
        assert_eq!(wrong.column, Some(column), "{text}: {}", wrong.problem);
    }
}

#[test]
fn a_line_that_is_wrong_may_still_tell_its_time() {
    let names = names(Some(0.1));
    let mut line = Line::new(&names);
    for (text, time) in [
        (r#"{"t": 5, "arm": "canidate"}"#, Some(5.0)),
        (r#"{"arm": "canidate", "t": 5}"#, Some(5.0)),
        (r#"{"t": 5, "arm": "base"#, Some(5.0)),
        (r#"{"t": -5, "arm": "baseline"}"#, None),
        ("nonsense", None),
    ] {
        line.read(text.as_bytes()).unwrap_err();
        assert_eq!(line.time, time, "{text}");
    }
}
