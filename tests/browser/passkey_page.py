"""A page of the console in Chromium, with an authenticator in software behind
it (the WebAuthn domain of CDP). What the page is does not matter: it is of the
console's origin, and Chromium asks for nothing else."""
import base64
import hashlib
import shutil
import subprocess
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from viewer_page import FLAGS

CREATE = '''
const [options, done] = arguments;
const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
navigator.credentials.create({publicKey}).then(
  c => done({credential: c.toJSON()}), e => done({error: e.name}));
'''
GET = '''
const [options, done] = arguments;
const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
navigator.credentials.get({publicKey}).then(
  c => done({credential: c.toJSON()}), e => done({error: e.name}));
'''


def key_hash(cert):
    """SHA-256 of a certificate's public key, as Chromium takes it: a passkey
    works only where the certificate is trusted, not where errors are passed
    over."""
    key = subprocess.run(['openssl', 'x509', '-in', str(cert), '-noout',
                          '-pubkey'], check=True, capture_output=True,
                         text=True).stdout
    der = base64.b64decode(''.join(key.splitlines()[1:-1]))
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class PasskeyPage:
    def __init__(self, url, cert):
        self.profile = tempfile.mkdtemp(prefix='rc-chrome-')
        options = Options()
        options.binary_location = '/usr/bin/chromium'
        flags = [f for f in FLAGS if f != '--ignore-certificate-errors']
        for flag in flags + [
                f'--ignore-certificate-errors-spki-list={key_hash(cert)}',
                f'--user-data-dir={self.profile}']:
            options.add_argument(flag)
        self.driver = webdriver.Chrome(
            service=Service('/usr/bin/chromedriver'), options=options)
        self.driver.set_script_timeout(60)
        self.driver.execute_cdp_cmd('WebAuthn.enable', {})
        self.authenticator = None
        self.driver.get(url)

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def new_authenticator(self, verified=True):
        """In place of the one before; has no passkeys yet."""
        if self.authenticator:
            self.driver.execute_cdp_cmd(
                'WebAuthn.removeVirtualAuthenticator',
                {'authenticatorId': self.authenticator})
        self.authenticator = self.driver.execute_cdp_cmd(
            'WebAuthn.addVirtualAuthenticator', {'options': {
                'protocol': 'ctap2', 'transport': 'internal',
                'hasResidentKey': True, 'hasUserVerification': True,
                'isUserVerified': verified,
                'automaticPresenceSimulation': True}})['authenticatorId']

    def create(self, options):
        """RegistrationResponseJSON, or the name of an error."""
        r = self.driver.execute_async_script(CREATE, options['publicKey'])
        return r.get('credential') or r['error']

    def get(self, options):
        """AuthenticationResponseJSON, or the name of an error."""
        r = self.driver.execute_async_script(GET, options['publicKey'])
        return r.get('credential') or r['error']
