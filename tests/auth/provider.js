// A real OpenID provider for one test: one client, access tokens that are JWTs with an org.
// Arguments: the port, the org, and the name of its key, which it makes at its start. It says `ready` when it listens.
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const [port, org, kid = 'first'] = process.argv.slice(2);
const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const issuer = `http://127.0.0.1:${port}`;

const resources = {
  getResourceServerInfo: (_ctx, resource) => ({
    scope: 'kb:read',
    audience: resource,
    accessTokenTTL: 300,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'RS256' } },
  }),
  defaultResource: () => 'https://docs.example.org',
};

const provider = new Provider(issuer, {
  jwks: { keys: [{ ...key, kid, use: 'sig', alg: 'RS256' }] },
  clients: [{
    client_id: 'importer',
    client_secret: 'a secret of the test',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  }],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    resourceIndicators: { enabled: true, ...resources },
  },
  extraTokenClaims: () => ({ org_id: org, roles: ['importer'] }),
});

provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
