"""Ports of a test's own: a block that is free now and that no other test of
this run was given."""
import itertools
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '..', '..', 'deploy', 'quickstart'))
from process import port_is_free  # noqa: E402
from stack import Ports  # noqa: E402

BLOCK = 100
_all = list(range(21000, 31000, BLOCK))
# workers of one run have blocks of their own; runs beside each other begin
# at different ones
_worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:]) % 5
_mine = _all[_worker * 20:(_worker + 1) * 20]
_at = os.getppid() % len(_mine)
_blocks = itertools.cycle(_mine[_at:] + _mine[:_at])


def free_ports():
    for base in _blocks:
        ports = Ports(base)
        if all(port_is_free(p) for p in (
                ports.relay, ports.files, ports.relay_metrics,
                ports.storage_metrics, ports.endpoint, ports.web,
                ports.reverse, ports.session_first, ports.session_last,
                ports.s3, ports.console, ports.console_metrics)):
            return ports
    raise AssertionError('unreachable: the cycle never ends')
