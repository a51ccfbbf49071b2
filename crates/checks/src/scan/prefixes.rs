//! Keys and tokens that providers mark with a prefix of their own.
//!
//! The prefix finds the place; the length and alphabet of what follows, and
//! its variety, tell a key from a mention of one. Lengths and alphabets are
//! the providers' own, as the public rule sets of gitleaks (MIT) and
//! detect-secrets (Apache-2.0) record them.

use super::check::{entropy, is_masked};
use super::sweep::Wake;
use super::{Hit, Kind};

/// Least variety of a key's tail, in bits per byte, where a row says nothing.
const MIN_ENTROPY: f64 = 2.5;
/// The same for long tails, in which chance leaves more variety.
const MIN_LONG_ENTROPY: f64 = 3.0;
/// From so many bytes a tail is long.
const LONG_TAIL: usize = 30;
/// Longest tail looked at, in bytes.
const MAX_TAIL: usize = 512;

/// Characters a tail may have.
#[derive(Clone, Copy)]
enum Alphabet {
    /// `0-9 a-f A-F`.
    Hex,
    /// `A-Z 2-7`, the base 32 of RFC 4648.
    Base32,
    /// `A-Z 0-9`.
    Upper,
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `_`, `-`.
    Word,
    /// [`Alphabet::Word`] and `.`, `=`, `+`, `/`.
    Base64,
}

impl Alphabet {
    fn has(self, b: u8) -> bool {
        match self {
            Self::Hex => b.is_ascii_hexdigit(),
            Self::Base32 => b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b),
            Self::Upper => b.is_ascii_uppercase() || b.is_ascii_digit(),
            Self::Alnum => b.is_ascii_alphanumeric(),
            Self::Word => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'),
            Self::Base64 => b.is_ascii_alphanumeric() || b"_-.=+/".contains(&b),
        }
    }
}

/// A prefix and what must follow it.
struct Prefix {
    prefix: &'static str,
    alphabet: Alphabet,
    /// Least and greatest length of the tail.
    tail: (usize, usize),
    /// What the tail ends with.
    end: &'static str,
    /// Whether a tail needs variety.
    varied: bool,
}

/// The prefixes, for the automaton.
pub(super) fn anchors() -> impl Iterator<Item = (&'static str, Wake)> {
    (0_u16..).zip(PREFIXES).map(|(at, p)| (p.prefix, Wake::Prefix(at)))
}

/// The key that begins at `start`, if what follows is one.
pub(super) fn judge(index: u16, text: &str, start: usize) -> Option<Hit> {
    PREFIXES.get(usize::from(index))?.judge(text, start)
}

impl Prefix {
    fn judge(&self, text: &str, start: usize) -> Option<Hit> {
        let bytes = text.as_bytes();
        let joined = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        // Behind a dot stands the ending of a file's name.
        let before = start.checked_sub(1).and_then(|at| bytes.get(at));
        if before.is_some_and(|b| joined(b) || *b == b'.') {
            return None;
        }
        let from = start + self.prefix.len();
        // The automaton does not tell case; some prefixes do.
        if text.get(start..from)? != self.prefix {
            return None;
        }
        let rest = bytes.get(from..)?;
        let length = rest.iter().take(MAX_TAIL).take_while(|b| self.alphabet.has(**b)).count();
        // The full stop of a sentence is not part of a key.
        let tail = text.get(from..from + length)?.trim_end_matches('.');
        let (least, most) = self.tail;
        if tail.len() < least || tail.len() > most || !tail.ends_with(self.end) {
            return None;
        }
        let joins = rest.get(tail.len()).is_some_and(joined);
        let least = if tail.len() < LONG_TAIL { MIN_ENTROPY } else { MIN_LONG_ENTROPY };
        let dull = self.varied && entropy(tail) < least;
        let stand_in = is_masked(tail) || tail.ends_with("EXAMPLE");
        let range = start..from + tail.len();
        (!joins && !dull && !stand_in).then(|| Hit::new(Kind::ApiKey, range, 95))
    }
}

const fn key(prefix: &'static str, alphabet: Alphabet, least: usize, most: usize) -> Prefix {
    Prefix { prefix, alphabet, tail: (least, most), end: "", varied: true }
}

/// A key whose tail ends in a known way.
const fn ends(
    prefix: &'static str,
    alphabet: Alphabet,
    (least, most): (usize, usize),
    end: &'static str,
) -> Prefix {
    Prefix { prefix, alphabet, tail: (least, most), end, varied: true }
}

/// A key whose shape alone is enough, whatever the tail.
const fn sure(prefix: &'static str, alphabet: Alphabet, least: usize, most: usize) -> Prefix {
    Prefix { prefix, alphabet, tail: (least, most), end: "", varied: false }
}

use Alphabet::{Alnum, Base32, Base64, Hex, Upper, Word};

/// The known prefixes, by provider.
static PREFIXES: &[Prefix] = &[
    // Amazon
    sure("A3T", Base32, 17, 17),
    sure("AKIA", Upper, 16, 16),
    sure("ASIA", Upper, 16, 16),
    sure("ABIA", Upper, 16, 16),
    sure("ACCA", Upper, 16, 16),
    key("ABSK", Base64, 109, 271),
    key("bedrock-api-key-", Base64, 60, MAX_TAIL),
    // Model providers
    ends("sk-ant-api03-", Word, (95, 95), "AA"),
    ends("sk-ant-admin01-", Word, (95, 95), "AA"),
    key("sk-proj-", Word, 20, 220),
    key("sk-svcacct-", Word, 20, 220),
    key("sk-admin-", Word, 20, 220),
    key("sk-or-v1-", Hex, 40, 80),
    key("sk-", Alnum, 32, 64),
    key("gsk_", Alnum, 40, 60),
    key("xai-", Alnum, 60, 100),
    key("r8_", Alnum, 30, 45),
    key("pplx-", Alnum, 40, 60),
    key("hf_", Alnum, 30, 45),
    key("api_org_", Alnum, 30, 45),
    // GitHub
    key("ghp_", Alnum, 36, 255),
    key("gho_", Alnum, 36, 255),
    key("ghu_", Alnum, 36, 255),
    key("ghs_", Alnum, 36, 255),
    key("ghr_", Alnum, 36, 255),
    key("github_pat_", Word, 60, 255),
    // GitLab
    key("glpat-", Base64, 20, 320),
    key("glptt-", Word, 20, 64),
    key("gldt-", Word, 20, 64),
    key("glrt-", Base64, 20, 320),
    key("glcbt-", Word, 20, 64),
    key("glsoat-", Word, 20, 64),
    key("glft-", Word, 20, 64),
    key("glffct-", Word, 20, 64),
    key("glimt-", Word, 25, 64),
    key("gloas-", Word, 20, 80),
    key("glagent-", Word, 40, MAX_TAIL),
    key("GR1348941", Word, 20, 50),
    key("_gitlab_session=", Alnum, 32, 32),
    // Google
    key("AIza", Word, 35, 35),
    key("ya29.", Word, 20, MAX_TAIL),
    key("GOCSPX-", Word, 28, 28),
    // Slack, Microsoft, Meta, Discord
    key("xapp-1-", Word, 24, 255),
    key("xoxe-1-", Alnum, 100, 255),
    key("xoxe.xoxp-1-", Alnum, 100, 255),
    key("xoxe.xoxb-1-", Alnum, 100, 255),
    key("hooks.slack.com/services/", Base64, 40, 60),
    key("hooks.slack.com/workflows/", Base64, 40, 60),
    key("hooks.slack.com/triggers/", Base64, 40, 60),
    key("discord.com/api/webhooks/", Base64, 60, 120),
    key("EAAM", Alnum, 100, MAX_TAIL),
    key("EAAC", Alnum, 100, MAX_TAIL),
    key("EAAA", Word, 22, 60),
    // Payment
    key("sk_live_", Alnum, 10, 255),
    key("sk_test_", Alnum, 10, 255),
    key("sk_prod_", Alnum, 10, 255),
    key("rk_live_", Alnum, 10, 255),
    key("rk_test_", Alnum, 10, 255),
    key("rk_prod_", Alnum, 10, 255),
    key("whsec_", Base64, 24, 80),
    key("sq0atp-", Word, 22, 60),
    key("sq0csp-", Word, 43, 43),
    key("EZAK", Alnum, 54, 54),
    key("EZTK", Alnum, 54, 54),
    key("FLWSECK_TEST-", Word, 12, 64),
    key("FLWPUBK_TEST-", Word, 32, 40),
    // Packages and builds
    key("npm_", Alnum, 36, 36),
    key("pypi-AgE", Word, 50, MAX_TAIL),
    key("rubygems_", Hex, 48, 48),
    key("dckr_pat_", Word, 27, 36),
    key("cmVmd", Alnum, 59, 59),
    key("sqp_", Alnum, 40, 40),
    key("squ_", Alnum, 40, 40),
    key("sqa_", Alnum, 40, 40),
    key("CLOJARS_", Alnum, 60, 60),
    key("oy2", Alnum, 43, 43),
    // Infrastructure
    key("dop_v1_", Hex, 64, 64),
    key("doo_v1_", Hex, 64, 64),
    key("dor_v1_", Hex, 64, 64),
    key("hvs.", Word, 24, 140),
    key("hvb.", Word, 138, 300),
    key("glsa_", Word, 41, 41),
    key("glc_", Base64, 32, 403),
    key("dapi", Hex, 32, 32),
    key("pul-", Hex, 40, 40),
    key("NRAK-", Alnum, 27, 27),
    key("NRII-", Word, 32, 32),
    key("NRJS-", Hex, 19, 19),
    key("AGE-SECRET-KEY-1", Upper, 58, 58),
    key("HRKU-AA", Word, 58, 58),
    key("4b1d", Alnum, 38, 38),
    key("tk-us-", Word, 48, 48),
    key("fo1_", Word, 43, 43),
    key("fm1a_", Base64, 100, MAX_TAIL),
    key("fm1r_", Base64, 100, MAX_TAIL),
    key("fm2_", Base64, 100, MAX_TAIL),
    key("sha256~", Word, 43, 43),
    key("v1.0-", Word, 171, 171),
    key("ops_eyJ", Base64, 250, MAX_TAIL),
    key("API-", Upper, 26, 26),
    key("tskey-", Word, 20, 80),
    key("pscale_tkn_", Base64, 32, 64),
    key("pscale_oauth_", Base64, 32, 64),
    key("pscale_pw_", Base64, 32, 64),
    // Work and shops
    key("shpat_", Hex, 32, 32),
    key("shpss_", Hex, 32, 32),
    key("shpca_", Hex, 32, 32),
    key("shppa_", Hex, 32, 32),
    key("lin_api_", Alnum, 40, 40),
    key("ntn_", Alnum, 46, 46),
    key("ATATT3", Base64, 60, 255),
    key("PMAK-", Word, 59, 59),
    key("figd_", Word, 36, 64),
    // Others with a mark of their own
    key("LTAI", Alnum, 20, 20),
    key("dnkey-", Word, 60, 90),
    key("dp.pt.", Alnum, 40, 44),
    key("duffel_live_", Base64, 43, 43),
    key("duffel_test_", Base64, 43, 43),
    key("dt0c01.", Base64, 80, 100),
    key("fio-u-", Word, 64, 64),
    key("ico-", Alnum, 32, 32),
    key("key-", Hex, 32, 32),
    key("p8e-", Alnum, 32, 32),
    key("pnu_", Alnum, 36, 36),
    key("rdme_", Alnum, 60, 80),
    key("s-s4t2ud-", Hex, 64, 64),
    key("s-s4t2af-", Hex, 64, 64),
    key("sgp_", Hex, 40, 40),
    key("sgp_local_", Hex, 40, 40),
    key("shippo_live_", Hex, 40, 40),
    key("shippo_test_", Hex, 40, 40),
    key("sm_aat_", Alnum, 16, 16),
    key("sm_pat_", Alnum, 16, 16),
    key("sm_sat_", Alnum, 16, 16),
    key("sntrys_", Base64, 60, 400),
    key("sntryu_", Hex, 64, 64),
    key("tfp_", Base64, 55, 65),
    key("xkeysib-", Word, 64, 90),
    key("AQVN", Word, 35, 38),
    key("gocardless_live_", Base64, 40, 40),
];
