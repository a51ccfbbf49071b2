//! What was paid for, on disk.
//!
//! One file for each (release, suite with its cases, provider); one line for
//! each (case, repeat): a checksum, a space, the JSON of the answer. Lines are
//! appended whole before the answer is counted, so a kill loses nothing that was
//! answered; every [`SYNC_EVERY`] lines and at the end the disk is asked to keep
//! them, beside the work: disks take their time, and whoever waits for one
//! answers nobody. A line whose checksum does not fit (torn by a crash) is left out and
//! asked again.
//!
//! Only places of lines are kept in memory: answers are read when they are
//! needed.

use domain::ids::Digest;
use domain::suite::Answer;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Lines after which the disk is asked to keep them.
const SYNC_EVERY: u32 = 64;
/// Hexadecimal digits of a line's checksum.
const SUM: usize = 16;
/// Characters of each digest in the file's name.
const NAME: usize = 16;
/// Longest line, in bytes; a longer one is no line of ours.
const MAX_LINE: usize = 4 << 20;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the journal `{path}` cannot be {verb}: {error}")]
pub struct JournalError {
    path: String,
    verb: &'static str,
    error: io::Error,
}

/// The answers of one release to one suite by one provider.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    inner: Mutex<Inner>,
    disk: Arc<Disk>,
}

/// The disk being asked to keep lines.
#[derive(Debug, Default)]
struct Disk {
    busy: AtomicBool,
    /// What it said no with; told with the next line.
    failed: Mutex<Option<io::Error>>,
}

impl Disk {
    fn take_failure(&self) -> io::Result<()> {
        match self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Asks on a thread of its own; false if it is still asked from before.
    fn ask(self: &Arc<Self>, file: &File) -> io::Result<bool> {
        if self.busy.swap(true, Ordering::AcqRel) {
            return Ok(false);
        }
        let free = |error| {
            self.busy.store(false, Ordering::Release);
            error
        };
        let file = file.try_clone().map_err(free)?;
        let disk = Arc::clone(self);
        let asking = move || {
            let failed = file.sync_data().err();
            if failed.is_some() {
                *disk.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
            }
            disk.busy.store(false, Ordering::Release);
        };
        thread::Builder::new().name("journal".to_owned()).spawn(asking).map_err(free)?;
        Ok(true)
    }
}

#[derive(Debug)]
struct Inner {
    file: File,
    /// Where each answer's line begins, and how long it is.
    places: HashMap<(String, u32), (u64, usize)>,
    end: u64,
    unsynced: u32,
}

#[derive(Serialize, Deserialize)]
struct Line {
    case: String,
    repeat: u32,
    /// Digest of the rendered messages: another question is another answer.
    prompt: Digest,
    answer: Answer,
}

impl Journal {
    /// Opens or makes the journal in a folder.
    ///
    /// # Errors
    /// The folder or the file cannot be made, read or mended.
    pub fn open(
        folder: &Path,
        release: Digest,
        suite: Digest,
        provider: Digest,
    ) -> Result<Self, JournalError> {
        let short = |d: Digest| d.hex().chars().take(NAME).collect::<String>();
        let name = format!("{}-{}-{}.jsonl", short(release), short(suite), short(provider));
        let path = folder.join(name);
        let fail = |verb, error| JournalError { path: path.display().to_string(), verb, error };
        fs::create_dir_all(folder).map_err(|e| fail("made", e))?;
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(&path);
        let mut file = file.map_err(|e| fail("opened", e))?;
        let (places, mut end) = scan(&mut file).map_err(|e| fail("read", e))?;
        let ends_whole = ends_with_newline(&mut file, end).map_err(|e| fail("read", e))?;
        if !ends_whole {
            // A torn line stays as it is; the next one begins on a line of its own.
            file.write_all(b"\n").map_err(|e| fail("written", e))?;
            end += 1;
        }
        let inner = Mutex::new(Inner { file, places, end, unsynced: 0 });
        Ok(Self { path, inner, disk: Arc::default() })
    }

    /// The answer to this question, if it was paid for already.
    pub fn find(&self, case: &str, repeat: u32, prompt: Digest) -> Option<Answer> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, len) = *inner.places.get(&(case.to_owned(), repeat))?;
        let mut bytes = vec![0; len];
        inner.file.seek(SeekFrom::Start(at)).ok()?;
        inner.file.read_exact(&mut bytes).ok()?;
        drop(inner);
        let line = read_line(&bytes)?;
        (line.prompt == prompt).then_some(line.answer)
    }

    /// Writes an answer down.
    ///
    /// # Errors
    /// The disk says no, now or to lines before: then nothing more should be
    /// paid for.
    pub fn keep(
        &self,
        case: &str,
        repeat: u32,
        prompt: Digest,
        answer: &Answer,
    ) -> Result<(), JournalError> {
        let fail =
            |error| JournalError { path: self.path.display().to_string(), verb: "written", error };
        self.disk.take_failure().map_err(fail)?;
        let line = Line { case: case.to_owned(), repeat, prompt, answer: answer.clone() };
        let json = serde_json::to_string(&line).map_err(|e| fail(e.into()))?;
        let text = format!("{} {json}\n", sum(json.as_bytes()));
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.file.write_all(text.as_bytes()).map_err(fail)?;
        let place = (inner.end, text.len() - 1);
        inner.end += text.len() as u64;
        inner.places.insert((line.case, repeat), place);
        inner.unsynced += 1;
        if inner.unsynced >= SYNC_EVERY && self.disk.ask(&inner.file).map_err(fail)? {
            inner.unsynced = 0;
        }
        Ok(())
    }

    /// Asks the disk to keep what was written.
    ///
    /// # Errors
    /// The disk says no.
    pub fn sync(&self) -> Result<(), JournalError> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.disk.take_failure().and_then(|()| inner.file.sync_data());
        kept.map_err(|error| JournalError {
            path: self.path.display().to_string(),
            verb: "written",
            error,
        })
    }

    /// How many answers it holds.
    pub fn len(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).places.len()
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

type Places = HashMap<(String, u32), (u64, usize)>;

fn scan(file: &mut File) -> io::Result<(Places, u64)> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let (mut places, mut at, mut bytes) = (HashMap::new(), 0_u64, Vec::new());
    loop {
        bytes.clear();
        let len = reader.read_until(b'\n', &mut bytes)?;
        if len == 0 {
            return Ok((places, at));
        }
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        if let Some(read) = read_line(line) {
            places.insert((read.case, read.repeat), (at, line.len()));
        }
        at += len as u64;
    }
}

fn ends_with_newline(file: &mut File, end: u64) -> io::Result<bool> {
    let Some(last) = end.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(last))?;
    file.read_exact(&mut byte)?;
    Ok(byte == [b'\n'])
}

fn read_line(bytes: &[u8]) -> Option<Line> {
    if bytes.len() > MAX_LINE {
        return None;
    }
    let (given, rest) = bytes.split_at_checked(SUM)?;
    let json = rest.strip_prefix(b" ")?;
    (given == sum(json).as_bytes()).then(|| serde_json::from_slice(json).ok()).flatten()
}

fn sum(json: &[u8]) -> String {
    Digest::of(json).hex().chars().take(SUM).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        Answer { text: text.to_owned(), completion_tokens: Some(3), ..Answer::default() }
    }

    fn open(folder: &Path) -> Journal {
        let digest = Digest::of(b"x");
        Journal::open(folder, digest, digest, digest).unwrap()
    }

    fn only_file(folder: &Path) -> PathBuf {
        fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
    }

    #[test]
    fn what_was_kept_is_found_by_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let prompt = Digest::of(b"p");
        let journal = open(folder.path());
        assert!(journal.is_empty());
        journal.keep("a", 0, prompt, &answer("one\ntwo")).unwrap();
        journal.keep("a", 1, prompt, &answer("three")).unwrap();
        assert_eq!(journal.find("a", 1, prompt), Some(answer("three")));
        drop(journal);
        let again = open(folder.path());
        assert_eq!(again.len(), 2);
        assert_eq!(again.find("a", 0, prompt), Some(answer("one\ntwo")));
        assert_eq!(again.find("a", 0, Digest::of(b"other prompt")), None);
        assert_eq!(again.find("b", 0, prompt), None);
    }

    #[test]
    fn a_torn_or_altered_line_is_asked_again_and_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let prompt = Digest::of(b"p");
        let journal = open(folder.path());
        for (case, text) in [("a", "one"), ("b", "two"), ("c", "three")] {
            journal.keep(case, 0, prompt, &answer(text)).unwrap();
        }
        drop(journal);
        let path = only_file(folder.path());
        let bytes = fs::read(&path).unwrap();
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let journal = open(folder.path());
            journal.keep("d", 0, prompt, &answer("four")).unwrap();
            drop(journal);
            let again = open(folder.path());
            assert_eq!(again.find("d", 0, prompt), Some(answer("four")), "cut at {cut}");
            // Whole lines before the cut are there; nothing else is.
            let whole = bytes[..cut].iter().filter(|b| **b == b'\n').count();
            assert!(again.len() > whole && again.len() <= whole + 2, "cut at {cut}");
        }
        fs::write(&path, String::from_utf8(bytes).unwrap().replace("two", "toe")).unwrap();
        let again = open(folder.path());
        assert_eq!((again.len(), again.find("b", 0, prompt)), (2, None));
    }
}
