//! CPU time of another process, from the kernel's own account.

/// Clock ticks a second of `/proc/<pid>/stat`: fixed at 100 for user space on
/// every Linux architecture Tidegate builds for.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of a process so far, in microseconds, all threads.
/// None if the process is gone or this is no Linux.
pub fn micros(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse(&stat).map(|ticks| ticks as f64 / TICKS_PER_SECOND * 1e6)
}

/// Fields 14 and 15, counted after the name, which may hold anything.
fn parse(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let stat = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 700 30 0 0 20 0 4 0";
        assert_eq!(super::parse(stat), Some(730));
        assert_eq!(super::parse("nonsense"), None);
    }
}
