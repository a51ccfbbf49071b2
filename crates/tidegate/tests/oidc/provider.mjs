// Two OpenID providers on free ports, told on the first line of output:
// `good` is the certified one, unmodified; `evil` speaks just enough of the
// protocol to send tokens that no client must believe. The test's browser says in
// headers who signs in (x-login) and what evil does (x-mode).
import { createServer } from 'node:http';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import Provider from 'oidc-provider';

const [redirects, secret] = [process.argv[2].split(','), process.argv[3]];
const people = {
  ana: { email: 'Ana@Example.com', email_verified: true, name: 'Ana Ruiz', preferred_username: 'ana.ruiz', groups: ['prompt-editors'] },
  priya: { email: 'priya@example.com', email_verified: true, name: 'Priya Shah', groups: ['release-managers', 'others'] },
  mallory: { email: 'ana@example.com', email_verified: false, name: 'Mallory', groups: ['prompt-editors'] },
  'ana-again': { email: 'ana@example.com', email_verified: true, name: 'Another Ana', groups: ['prompt-editors'] },
  nina: { email: 'nina@example.com', email_verified: true, name: 'Nina New', preferred_username: 'nina', groups: ['prompt-editors'] },
  otto: { email: 'otto@example.com', email_verified: true, name: 'Otto', groups: ['others'] },
  root: { email: 'root@example.com', email_verified: true, name: 'Root', preferred_username: 'admin', groups: ['prompt-editors'] },
};

function listen(handler) {
  return new Promise((done) => {
    const server = createServer(handler);
    server.listen(0, '127.0.0.1', () => done(`http://127.0.0.1:${server.address().port}`));
  });
}

let handle;
const issuer = await listen((req, res) => handle(req, res));
const provider = new Provider(issuer, {
  clients: [{ client_id: 'tidegate', client_secret: secret, redirect_uris: redirects, grant_types: ['authorization_code'], response_types: ['code'] }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username', 'groups'] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false } },
  cookies: { keys: ['for the tests only'] },
  jwks: { keys: [{ ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'r1' }] },
  findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid email profile');
    await grant.save();
    return grant;
  },
});
handle = async (req, res) => {
  if (!req.url.startsWith('/interaction/')) return provider.callback()(req, res);
  const login = req.headers['x-login'];
  const result = login === 'nobody' ? { error: 'access_denied', error_description: 'you <b>pressed</b> cancel' } : { login: { accountId: login } };
  return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
};

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'e1', use: 'sig', alg: 'ES256' };
const codes = new Map();
const b64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

function token(self, { mode, nonce }) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: self, sub: 'ana', aud: 'tidegate', nonce, iat: now, exp: now + 300, email: 'ana@example.com', email_verified: true, groups: ['prompt-editors'] };
  if (mode === 'expired') Object.assign(claims, { iat: now - 500, exp: now - 120 });
  if (mode === 'nonce') claims.nonce = 'of-another-sign-in';
  if (mode === 'audience') claims.aud = 'another-client';
  if (mode === 'party') Object.assign(claims, { aud: ['tidegate', 'another-client'], azp: 'another-client' });
  if (mode === 'issuer') claims.iss = issuer;
  const header = { alg: 'ES256', kid: 'e1' };
  if (mode === 'none') return `${b64({ alg: 'none' })}.${b64(claims)}.`;
  if (mode === 'hs256') {
    const text = `${b64({ alg: 'HS256', kid: 'e1' })}.${b64(claims)}`;
    return `${text}.${createHmac('sha256', publicKey.export({ format: 'pem', type: 'spki' })).update(text).digest('base64url')}`;
  }
  const text = `${b64(header)}.${b64(claims)}`;
  const key = mode === 'key' ? other : privateKey;
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

const evil = await listen(async (req, res) => {
  const url = new URL(req.url, 'http://evil');
  const json = (value) => res.setHeader('content-type', 'application/json').end(JSON.stringify(value));
  if (url.pathname === '/.well-known/openid-configuration') {
    return json({ issuer: evil, authorization_endpoint: `${evil}/auth`, token_endpoint: `${evil}/token`, jwks_uri: `${evil}/jwks`, authorization_response_iss_parameter_supported: true });
  }
  if (url.pathname === '/jwks') return json({ keys: [jwk, { kty: 'from the future', kid: 'x' }] });
  if (url.pathname === '/auth') {
    const mode = req.headers['x-mode'];
    const code = `code-${codes.size}`;
    codes.set(code, { mode, nonce: url.searchParams.get('nonce') });
    const back = new URL(url.searchParams.get('redirect_uri'));
    back.searchParams.set('code', code);
    back.searchParams.set('state', url.searchParams.get('state'));
    if (mode !== 'silent') back.searchParams.set('iss', mode === 'mixup' ? issuer : evil);
    res.statusCode = 303;
    return res.setHeader('location', back.href).end();
  }
  let body = '';
  for await (const part of req) body += part;
  const asked = codes.get(new URLSearchParams(body).get('code'));
  return json({ access_token: 'x', token_type: 'Bearer', id_token: token(evil, asked) });
});

console.log(JSON.stringify({ good: issuer, evil }));
// Ends with the test, whatever becomes of that.
process.stdin.on('end', () => process.exit(0)).resume();
