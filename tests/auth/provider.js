// A real OpenID provider for one test: one client, access tokens that are JWTs with an org.
// Argument: the org. It listens on a free port, which it says: `ready <port>`. A line at its input is the name of a new key, which
// takes the place of the one it has: `key <name>` says that it did.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

const [org] = process.argv.slice(2);
if (!org) throw new Error('the provider was not told which org its tokens name');

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

function answering(issuer, kid) {
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
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
  return provider.callback();
}

let answer;
const server = createServer((request, response) => answer(request, response));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const issuer = `http://127.0.0.1:${port}`;
  answer = answering(issuer, 'first');
  console.log(`ready ${port}`);
  createInterface({ input: process.stdin }).on('line', (kid) => {
    answer = answering(issuer, kid);
    console.log(`key ${kid}`);
  });
});
