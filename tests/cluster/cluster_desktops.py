"""The desktops of the cluster: those that relays dial, and those that an agent
on a machine of its own leads to. tests/chaos is on the path (cluster_lab)."""
import os
import shutil

from lab import Desktop, desktop_port
from process import run, wait_until

RELAYS = 'relays.test'  # all relays' addresses, as DNS would have them
BIND_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


class FarDesktop(Desktop):
    """The relays are elsewhere."""

    def __init__(self, lab, n):
        super().__init__(lab.stack, n)
        self.host = lab.bridge.address

    def listen_options(self):
        return ['-interface', self.host]

    def add_options(self):
        return [*super().add_options(), '--tls-name', 'localhost']


class AgentDesktop(FarDesktop):
    """An agent on a machine of its own leads to it; the agent's channel to the
    relay is what protects the session."""

    security_type = 'VncAuth'

    def __init__(self, lab, n, machine):
        super().__init__(lab, n)
        self.lab, self.machine = lab, machine

    def add_options(self):
        return ['--kind', 'agent']

    def register(self, password):
        s = self.stack
        way = super().register(password)
        hosts, state = s.path('conf', 'hosts'), s.path('home', self.name)
        with open(hosts, 'w', encoding='ascii') as f:
            f.writelines(f'{n.machine.address} {RELAYS}\n'
                         for n in self.lab.nodes)
        os.chmod(hosts, 0o644)
        program = s.path('bin', 'relaycam-agent')
        shutil.copyfile(os.path.join(s.build, 'agent', 'relaycam-agent'),
                        program + '.new')
        os.chmod(program + '.new', 0o755)
        os.rename(program + '.new', program)

        def argv(*words):
            return ['unshare', '-m', 'sh', '-c', BIND_HOSTS, hosts,
                    *self.lab.account(), program, *words]
        run(['ip', 'netns', 'exec', self.machine.ns, *argv(
            'enroll', '--relay', f'{RELAYS}:{s.ports.web}', '--ca',
            s.path('ca.pem'), '--token', way['token'], '--state', state)],
            None, s.env)
        self.agent = self.lab.spawn(
            self.machine, f'agent-{self.name}', argv(
                'run', '--state', state, '--display',
                f'main={self.host}:{desktop_port(s, self.n)}'), as_root=True)
        wait_until(self.node, 60, 'the agent', self.agent)

    def node(self):
        """The node that its agent is connected to, or None."""
        rows = self.lab.sql('SELECT agent_node FROM endpoints WHERE name = '
                            f"'{self.name}' AND agent_node IS NOT NULL")
        return rows[0][0] if rows else None
