//! "Did you mean …?": the nearest of a list of names.

/// The candidate nearest to `given`, if it is near enough to be a slip of the
/// fingers: about one edit per three characters. Ties go to the first.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (given.chars().count() / 3).clamp(1, 3);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = strsim::damerau_levenshtein(given, candidate);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Names in back-ticks with commas, for sentences; at most `limit` of them.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>, limit: usize) -> String {
    let all: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    let more = all.len().saturating_sub(limit);
    let shown = all.iter().take(limit).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        for (given, nearest_one) in [
            ("customer_nam", Some("customer_name")),
            ("cutsomer_name", Some("customer_name")),
            ("lenght", Some("length")),
            ("order", None),
        ] {
            assert_eq!(nearest(given, ["length", "customer_name"]), nearest_one, "{given}");
        }
    }
}
