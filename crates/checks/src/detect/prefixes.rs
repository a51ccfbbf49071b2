//! Keys and tokens that providers mark with a prefix of their own.
//!
//! The prefix finds the place; the length and alphabet of what follows, and
//! its variety, tell a key from a mention of one.

use super::check::{entropy, is_placeholder};
use super::{Kind, Match};

/// Least variety of a key's tail, in bits per byte.
const MIN_ENTROPY: f64 = 2.5;
/// Longest tail looked at, in bytes.
const MAX_TAIL: usize = 512;

/// Characters a tail may have.
#[derive(Clone, Copy)]
pub(super) enum Alphabet {
    /// `0-9 a-f A-F`.
    Hex,
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
            Self::Upper => b.is_ascii_uppercase() || b.is_ascii_digit(),
            Self::Alnum => b.is_ascii_alphanumeric(),
            Self::Word => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'),
            Self::Base64 => b.is_ascii_alphanumeric() || b"_-.=+/".contains(&b),
        }
    }
}

/// A prefix and what must follow it.
pub(super) struct Prefix {
    pub(super) prefix: &'static str,
    alphabet: Alphabet,
    /// Least and greatest length of the tail.
    tail: (usize, usize),
}

impl Prefix {
    /// The key that begins at `start`, if what follows is one.
    pub(super) fn judge(&self, text: &str, start: usize) -> Option<Match> {
        let bytes = text.as_bytes();
        let joined = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        if start.checked_sub(1).and_then(|at| bytes.get(at)).is_some_and(joined) {
            return None;
        }
        let from = start + self.prefix.len();
        let rest = bytes.get(from..)?;
        let length = rest.iter().take(MAX_TAIL).take_while(|b| self.alphabet.has(**b)).count();
        if length < self.tail.0 || length > self.tail.1 {
            return None;
        }
        // The full stop of a sentence is not part of a key.
        let tail = text.get(from..from + length)?.trim_end_matches('.');
        let length = tail.len();
        let plausible = !is_placeholder(tail) && entropy(tail) >= MIN_ENTROPY;
        plausible.then(|| Match { kind: Kind::ApiKey, range: start..from + length, score: 95 })
    }
}

const fn key(prefix: &'static str, alphabet: Alphabet, least: usize, most: usize) -> Prefix {
    Prefix { prefix, alphabet, tail: (least, most) }
}

use Alphabet::{Alnum, Base64, Hex, Upper, Word};

/// The known prefixes, by provider.
pub(super) static PREFIXES: [Prefix; 111] = [
    // Amazon
    key("AKIA", Upper, 16, 16),
    key("ASIA", Upper, 16, 16),
    key("ABIA", Upper, 16, 16),
    key("ACCA", Upper, 16, 16),
    key("ABSK", Base64, 100, 180),
    key("bedrock-api-key-", Base64, 40, MAX_TAIL),
    // Anthropic, OpenAI and other model providers
    key("sk-ant-", Word, 60, 140),
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
    key("glpat-", Word, 20, 64),
    key("glptt-", Word, 20, 64),
    key("gldt-", Word, 20, 64),
    key("glrt-", Word, 20, 64),
    key("glcbt-", Word, 20, 64),
    key("glsoat-", Word, 20, 64),
    key("glft-", Word, 20, 64),
    key("gloas-", Word, 20, 80),
    key("glagent-", Word, 40, 80),
    // Google
    key("AIza", Word, 35, 35),
    key("ya29.", Word, 20, MAX_TAIL),
    key("GOCSPX-", Word, 28, 28),
    // Slack
    key("xoxa-", Word, 20, 255),
    key("xoxb-", Word, 24, 255),
    key("xoxe-", Word, 24, 255),
    key("xoxp-", Word, 24, 255),
    key("xoxr-", Word, 24, 255),
    key("xoxs-", Word, 24, 255),
    key("xapp-", Word, 24, 255),
    key("hooks.slack.com/services/", Base64, 40, 60),
    // Payment
    key("sk_live_", Alnum, 16, 255),
    key("sk_test_", Alnum, 16, 255),
    key("rk_live_", Alnum, 16, 255),
    key("rk_test_", Alnum, 16, 255),
    key("whsec_", Base64, 24, 80),
    key("sq0atp-", Word, 22, 22),
    key("sq0csp-", Word, 43, 43),
    key("EZAK", Alnum, 54, 54),
    key("EZTK", Alnum, 54, 54),
    // Packages and builds
    key("npm_", Alnum, 36, 36),
    key("pypi-", Word, 80, 255),
    key("rubygems_", Hex, 48, 48),
    key("dckr_pat_", Word, 27, 36),
    key("AKCp", Alnum, 60, 80),
    key("cmVmdGtu", Alnum, 50, 64),
    key("sqp_", Hex, 40, 40),
    key("squ_", Hex, 40, 40),
    key("sqa_", Hex, 40, 40),
    // Infrastructure
    key("dop_v1_", Hex, 64, 64),
    key("hvs.", Word, 24, 140),
    key("glsa_", Word, 32, 50),
    key("glc_", Base64, 32, 400),
    key("dapi", Hex, 32, 32),
    key("pul-", Hex, 40, 40),
    key("NRAK-", Alnum, 27, 27),
    key("AGE-SECRET-KEY-1", Upper, 58, 58),
    // Work and shops
    key("shpat_", Hex, 32, 32),
    key("shpss_", Hex, 32, 32),
    key("lin_api_", Alnum, 40, 40),
    key("ntn_", Alnum, 43, 50),
    key("ATATT3", Base64, 60, 255),
    key("PMAK-", Word, 50, 70),
    key("SG.", Base64, 50, 80),
    // Others with a mark of their own
    key("LTAI", Alnum, 20, 20),
    key("CLOJARS_", Alnum, 60, 60),
    key("dnkey-", Word, 60, 90),
    key("doo_v1_", Hex, 64, 64),
    key("dor_v1_", Hex, 64, 64),
    key("dp.pt.", Alnum, 40, 44),
    key("duffel_live_", Base64, 43, 43),
    key("duffel_test_", Base64, 43, 43),
    key("dt0c01.", Base64, 80, 100),
    key("fio-u-", Word, 64, 64),
    key("fo1_", Word, 43, 43),
    key("figd_", Word, 36, 64),
    key("FLWSECK_TEST-", Alnum, 12, 64),
    key("key-", Hex, 32, 32),
    key("oy2", Alnum, 43, 43),
    key("pnu_", Alnum, 36, 36),
    key("pscale_tkn_", Base64, 32, 64),
    key("pscale_oauth_", Base64, 32, 64),
    key("pscale_pw_", Base64, 32, 64),
    key("rdme_", Alnum, 60, 80),
    key("sgp_", Hex, 40, 40),
    key("sgp_local_", Hex, 40, 40),
    key("sha256~", Word, 43, 43),
    key("shippo_live_", Hex, 40, 40),
    key("shippo_test_", Hex, 40, 40),
    key("shpca_", Hex, 32, 32),
    key("shppa_", Hex, 32, 32),
    key("sm_aat_", Alnum, 16, 16),
    key("sntrys_", Base64, 60, 400),
    key("tfp_", Base64, 55, 65),
    key("tskey-", Word, 20, 80),
    key("xkeysib-", Word, 64, 90),
    key("AC", Hex, 32, 32),
    key("SK", Hex, 32, 32),
];
