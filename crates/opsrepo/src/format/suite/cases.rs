//! Cases as a stream: one line, one case or one finding.

use super::super::Fault;
use super::rules::{case_faults, duplicate};
use crate::text::whole_file;
use crate::yaml;
use domain::finding::{Finding, Place};
use domain::ids::Digest;
use domain::suite::{Case, MAX_CASE_LEN};
use std::collections::HashSet;
use std::io::{BufRead, Read};

/// The ids of the cases read so far, as hashes: 16 bytes each.
#[derive(Debug, Clone, Default)]
pub struct CaseIds(HashSet<u128>);

impl CaseIds {
    /// The ids of cases that are at hand.
    pub fn of(cases: &[Case]) -> Self {
        let mut ids = Self::default();
        for case in cases {
            ids.insert(&case.id);
        }
        ids
    }

    /// Adds an id. False if it was there.
    pub fn insert(&mut self, id: &str) -> bool {
        let digest = Digest::of(id.as_bytes());
        let half = digest.hex().get(..32).and_then(|hex| u128::from_str_radix(hex, 16).ok());
        self.0.insert(half.unwrap_or_default())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads cases line by line. Each item is a case or what is wrong with a line;
/// reading goes on after it. Holds one line at a time, so a million cases need
/// no more memory than the longest of them and 16 bytes for each id.
#[derive(Debug)]
pub struct CaseReader<R> {
    file: String,
    lines: R,
    line: u32,
    read: usize,
    ids: CaseIds,
    waiting: std::vec::IntoIter<Finding>,
    ended: bool,
}

impl<R: BufRead> CaseReader<R> {
    /// Reads `lines`, which findings call `file`. `ids` are those of the suite's
    /// cases so far.
    pub fn new(file: &str, lines: R, ids: CaseIds) -> Self {
        Self {
            file: file.to_owned(),
            lines,
            line: 0,
            read: 0,
            ids,
            waiting: Vec::new().into_iter(),
            ended: false,
        }
    }

    /// The ids, for the suite's next file.
    pub fn into_ids(self) -> CaseIds {
        self.ids
    }

    /// The line of the last item, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// True if no case was read.
    pub fn none_read(&self) -> bool {
        self.read == 0
    }

    /// The next line without its end; none at the end of the file.
    fn next_line(&mut self) -> Option<Result<Vec<u8>, Fault>> {
        let mut line = Vec::new();
        let most = MAX_CASE_LEN as u64 + 2;
        match self.lines.by_ref().take(most).read_until(b'\n', &mut line) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => {
                self.ended = true;
                let message = format!("the file cannot be read: {error}");
                return Some(Err(Fault::new("", "bad_case", message, "make it readable")));
            }
        }
        self.line = self.line.saturating_add(1);
        let whole = line.last() == Some(&b'\n');
        while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            line.pop();
        }
        if line.len() <= MAX_CASE_LEN {
            return Some(Ok(line));
        }
        if !whole {
            self.skip_line();
        }
        Some(Err(Fault::new(
            "",
            "too_large",
            format!("the line has more than {MAX_CASE_LEN} bytes"),
            "shorten the case",
        )))
    }

    /// Goes to the end of a line that is too long to keep.
    fn skip_line(&mut self) {
        loop {
            let (used, found) = match self.lines.fill_buf() {
                Ok([]) | Err(_) => return,
                Ok(bytes) => match bytes.iter().position(|byte| *byte == b'\n') {
                    Some(at) => (at + 1, true),
                    None => (bytes.len(), false),
                },
            };
            self.lines.consume(used);
            if found {
                return;
            }
        }
    }

    fn case(&mut self, line: &[u8]) -> Result<Case, Vec<Finding>> {
        let text = std::str::from_utf8(line).map_err(|error| {
            let before = String::from_utf8_lossy(&line[..error.valid_up_to()]);
            let message = "the line is not UTF-8 from here on";
            let fault = Fault::new("", "not_utf8", message, "save the file as UTF-8");
            vec![self.finding(fault, Some(column(before.chars().count())))]
        })?;
        let case: Case =
            serde_json::from_str(text).map_err(|error| vec![self.unread(text, &error)])?;
        let mut faults = case_faults(&case);
        if faults.is_empty() && !self.ids.insert(&case.id) {
            faults.push(duplicate("id", &case.id));
        }
        if faults.is_empty() {
            return Ok(case);
        }
        Err(faults.into_iter().map(|fault| self.finding(fault, None)).collect())
    }

    /// Why a line is no case. Most lines are, so the second reading that knows
    /// places and suggestions is for the others only.
    fn unread(&self, text: &str, error: &serde_json::Error) -> Finding {
        if error.is_data()
            && let Some((span, fault)) = yaml::first_fault::<Case>(text)
        {
            let before = text.get(..span.start).unwrap_or_default();
            return self.finding(fault, Some(column(before.chars().count())));
        }
        // serde_json counts bytes.
        let before = text.as_bytes().get(..error.column().saturating_sub(1)).unwrap_or_default();
        let at = column(String::from_utf8_lossy(before).chars().count());
        let (message, mend) = if error.is_data() {
            ("a value here is not of the kind that is wanted", "write it as `docs/evals.md` says")
        } else {
            ("the line is not JSON", "write one JSON object a line")
        };
        self.finding(Fault::new("", "bad_case", message, mend), Some(at))
    }

    /// A finding about the line. It has no excerpt: that would show the case.
    fn finding(&self, fault: Fault, column: Option<u32>) -> Finding {
        let field = (!fault.field.is_empty()).then(|| fault.field.clone());
        let place = Place {
            file: self.file.clone(),
            line: Some(self.line.max(1)),
            column,
            end_column: None,
            field,
        };
        Finding { place: Some(place), ..whole_file(&self.file, fault) }
    }
}

fn column(before: usize) -> u32 {
    u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
}

impl<R: BufRead> Iterator for CaseReader<R> {
    type Item = Result<Case, Finding>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(finding) = self.waiting.next() {
                return Some(Err(finding));
            }
            if self.ended {
                return None;
            }
            let mut line = match self.next_line()? {
                Ok(line) => line,
                Err(fault) => return Some(Err(self.finding(fault, None))),
            };
            if self.line == 1 && line.starts_with("\u{feff}".as_bytes()) {
                line.drain(..3);
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match self.case(&line) {
                Ok(case) => {
                    self.read += 1;
                    return Some(Ok(case));
                }
                Err(findings) => self.waiting = findings.into_iter(),
            }
        }
    }
}
