"""Ways from the relay to a desktop of endpoints.py: dialled by the relay, by
relaycam-agent on the desktop's machine, or by the server itself through
stunnel.

    path = Agent(stack, desk).prepare()     # once
    desk = path.ready()                     # before each session
    ...                                     # log in as alice@{path.endpoint}
    path.over()                             # after each session
"""
import os
import subprocess

from process import run, wait_until

import endpoints


class Path:
    NAME = None

    def __init__(self, stack, desk):
        self.stack = stack
        self.desk = desk
        self.endpoint = f'{desk.NAME}-{self.NAME}'

    def add(self, *options):
        """`relaycam endpoint add`; returns what it says as JSON."""
        return self.stack.ctl_json(
            'endpoint', 'add', self.endpoint, '--team', 'demo', '--kind',
            self.NAME, *options)

    def wait_state(self, state, process=None):
        def now():
            return [e['state'] for e in self.stack.ctl_json(
                'endpoint', 'list') if e['name'] == self.endpoint]
        wait_until(lambda: now() == [state], 30,
                   f'{self.endpoint} to be {state}', process)

    def ready(self):
        """Returns the desk that the next session is to show."""
        return self.desk

    def over(self):
        pass


class Direct(Path):
    NAME = 'direct'

    def prepare(self):
        self.add(*self.desk.direct_options())
        return self


class Agent(Path):
    """The server's own port is never seen by the relay."""
    NAME = 'agent'

    def prepare(self):
        s = self.stack
        program = endpoints.own_copy(
            s, os.path.join(s.build, 'agent', 'relaycam-agent'))
        state = s.path('home', f'agent-{self.desk.NAME}')
        way = self.add(*self.desk.login_options())
        run([program, 'enroll', '--relay', f'localhost:{s.ports.web}',
             '--ca', s.path('ca.pem'), '--token', way['token'], '--state',
             state], s.user, s.env)
        agent = s.spawn(f'agent-{self.desk.NAME}', [
            program, 'run', '--state', state, '--display',
            f'main=127.0.0.1:{self.desk.local_port}'], env=s.env)
        self.wait_state('connected', agent)
        return self


class Reverse(Path):
    """x11vnc by the ID that it is given, the others, which send none, by a
    certificate of their stunnel's."""
    NAME = 'reverse'

    def prepare(self):
        s, name = self.stack, self.desk.NAME
        self.port = s.ports.relay + 50 + self.desk.PORT_OFFSET
        options = self.desk.login_options()
        cert, key = s.path('conf', f'{name}.tunnel.pem'), \
            s.path('conf', f'{name}.tunnel.key')
        if name != 'x11vnc':
            self._certificate(cert, key)
            options += ['--client-cert', cert]
        way = self.add(*options)
        self.id = way['id']
        assert (self.id is None) == (name != 'x11vnc')
        # as it is printed, but for places of the test's own
        lines = way['stunnel']
        for theirs, ours in (
                ('accept = 127.0.0.1:5500', f'accept = 127.0.0.1:{self.port}'),
                ('/etc/stunnel/relay.pem', s.path('ca.pem')),
                ('/etc/ssl/certs/ca-certificates.crt', s.path('ca.pem')),
                ('/etc/stunnel/client.pem', cert),
                ('/etc/stunnel/client.key', key)):
            lines = lines.replace(theirs, ours)
        conf = s.path('conf', f'{name}.stunnel')
        s._write(conf, f'foreground = yes\npid =\n{lines}\n')
        tunnel = s.spawn(f'stunnel-{name}', ['stunnel4', conf])
        self._wait_listening(tunnel)
        return self

    def _certificate(self, cert, key):
        run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
             'ec_paramgen_curve:P-256', '-nodes', '-subj',
             f'/CN={self.endpoint}', '-days', '30', '-keyout', key, '-out',
             cert], self.stack.user, self.stack.env)

    def _wait_listening(self, tunnel):
        """Without a connection, which the relay would take for a server."""
        wait_until(lambda: subprocess.run(
            ['ss', '-Hltn', f'sport = :{self.port}'], capture_output=True,
            text=True).stdout.strip(), 20, 'stunnel', tunnel)

    def ready(self):
        shown = self.desk.dial(self.port, self.id)
        self.wait_state('parked')
        return shown

    def over(self):
        self.desk.hang_up()
        self.wait_state('away')


PATHS = {p.NAME: p for p in (Direct, Agent, Reverse)}
