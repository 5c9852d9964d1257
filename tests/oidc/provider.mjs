// An OpenID provider for the tests: npm oidc-provider over TLS on loopback.
// usage: node provider.mjs CONFIG.json
// CONFIG: issuer, port, key, cert (PEM files), jwks, clients, people {login: claims}.
// Its login page takes any person of CONFIG without a password, and asks for
// no consent. Prints "ready" when it listens.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const provider = new Provider(config.issuer, {
  clients: config.clients,
  jwks: config.jwks,
  cookies: { keys: ['tests'] },
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'preferred_username'],
    groups: ['groups'],
  },
  features: { devInteractions: { enabled: true } },
  pkce: { required: () => true },
  ttl: { AuthorizationCode: 60, IdToken: 300, Interaction: 600, Session: 600, Grant: 600, AccessToken: 300 },
  async findAccount(ctx, id) {
    const claims = config.people[id];
    return claims && { accountId: id, claims: async () => ({ sub: id, ...claims }) };
  },
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope('openid email profile groups');
    await grant.save();
    return grant;
  },
});
provider.on('server_error', (ctx, error) => console.error(error));
provider.on('grant.error', (ctx, error) => console.error(error.message, error.error_detail));

createServer({ key: readFileSync(config.key), cert: readFileSync(config.cert) }, provider.callback())
  .listen(config.port, '127.0.0.1', () => console.log('ready'));
