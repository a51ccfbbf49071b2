//! `VERIFY.md`: how to check a package with this program, and by hand with tools
//! that are on most machines.

use super::Story;
use crate::note::VerifyingKey;

/// The text.
pub(super) fn text(story: &Story, key: &VerifyingKey) -> String {
    format!(
        r#"# How to check this package

It is about `{about}` of the app `{app}`, written by Tidegate {version} of `{origin}`.
`report.html` is for reading, `story.json` says what else is here.

## With Tidegate

    tidegate evidence verify FILE.zip --key '{key}'

It needs no server and no network, and ends with status 11 if anything does not match.
The key above is the one this package was signed with: compare it with one you have from
elsewhere (`tidegate whoami`, or `/log/vkey` of the installation) before you trust it.

## By hand

You need `unzip`, `openssl`, `python3` and `sha256sum`.

1. Take the package apart, and the signed statement out of its envelope:

       unzip FILE.zip -d evidence && cd evidence
       python3 - <<'END'
       import base64, json
       e = json.load(open('evidence.dsse.json'))
       body = base64.b64decode(e['payload'])
       kind = e['payloadType'].encode()
       open('/tmp/statement.json', 'wb').write(body)
       open('/tmp/signed', 'wb').write(b'DSSEv1 %d %s %d %s' % (len(kind), kind, len(body), body))
       open('/tmp/signature', 'wb').write(base64.b64decode(e['signatures'][0]['sig']))
       for file in json.loads(body)['subject']:
           print(file['digest']['sha256'] + '  ' + file['name'])
       END

2. The signature is over exactly these bytes (DSSE, Ed25519):

       openssl pkeyutl -verify -pubin -inkey keys/installation.pem -rawin \
           -in /tmp/signed -sigfile /tmp/signature

3. Every file is the one that was listed: put what step 1 printed into `/tmp/sums` and run
   `sha256sum -c /tmp/sums`. A file that is not listed was added by somebody else.

4. The release's id is the SHA-256 of its manifest, and the manifest names the SHA-256 of
   each component's content (all in canonical JSON, RFC 8785):

       sha256sum release/manifest.json release/components/*.json

5. Each entry of the audit log, `log/N.json`, has its proof beside it, `log/N.tlog-proof`
   (C2SP tlog-proof v1): the hashes from the entry to the root of the log's Merkle tree
   (RFC 6962), and the checkpoint signed over that root (C2SP signed note, key in
   `keys/log.vkey`). Tools for transparency logs read it. Watch the same log at `/log/` of
   the installation to see that it only grows.

6. An approval names the digest of the content it was given for. In
   `change/*/approvals.json` it counts only if that is the change's own.

What is left out, and why, stands in `story.json` under `leftOut`.
"#,
        about = story.subject,
        app = story.app,
        version = story.tool_version,
        origin = story.origin,
    )
}
