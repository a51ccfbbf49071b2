//! Counts and how they are shown.

use serde_json::{Value, json};

/// What was found and what should have been.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Found, and right.
    pub right: u32,
    /// Found, and wrong.
    pub wrong: u32,
    /// Not found.
    pub missed: u32,
}

impl Counts {
    /// With precision, recall and their harmonic mean; 1 where there is nothing
    /// to divide by.
    pub fn json(self) -> Value {
        let share = |n: u32, of: u32| if of == 0 { 1.0 } else { f64::from(n) / f64::from(of) };
        json!({
            "precision": share(self.right, self.right + self.wrong),
            "recall": share(self.right, self.right + self.missed),
            "f1": share(2 * self.right, 2 * self.right + self.wrong + self.missed),
            "found": self.right,
            "wrong": self.wrong,
            "missed": self.missed,
        })
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }
}

/// Prints numbers, and tables of objects.
pub fn print(title: &str, value: &Value) {
    let Some(map) = value.as_object() else { return };
    println!("\n{title}");
    let shown = |value: &Value| match value.as_f64() {
        Some(x) if value.is_f64() => format!("{x:.3}"),
        _ => value.to_string(),
    };
    for (key, value) in map.iter().filter(|(_, v)| !v.is_object()) {
        println!("  {key:<24} {:>10}", shown(value));
    }
    for (key, table) in map.iter().filter_map(|(k, v)| Some((k, v.as_object()?))) {
        println!("  {key}");
        for (name, row) in table {
            let cells = match row.as_object() {
                Some(cells) => cells
                    .iter()
                    .map(|(k, v)| format!("{k} {}", shown(v)))
                    .collect::<Vec<_>>()
                    .join("  "),
                None => shown(row),
            };
            println!("    {name:<34} {cells}");
        }
    }
}

/// A text, shortened for the terminal.
pub fn short(text: &str) -> String {
    let line: String = text.chars().take(220).collect();
    format!("{line:?}")
}
