"""The quickstart: one machine, everything on it. See ../../quickstart."""
import argparse
import json
import os
import shlex
import signal
import sys
import time

import demo
from process import StartError, wait_until
from stack import ROOT, Ports, Stack

ONCE_SECONDS = 20
ENDPOINT_PASSWORD_LEN = 8  # all that VNC authentication looks at


def say(text):
    print(text, file=sys.stderr, flush=True)


def default_state():
    if os.getuid() == 0:
        return '/var/lib/relaycam-quickstart'
    base = os.environ.get('XDG_STATE_HOME',
                          os.path.expanduser('~/.local/state'))
    return os.path.join(base, 'relaycam-quickstart')


def parse(argv):
    p = argparse.ArgumentParser(prog='quickstart')
    p.add_argument('--once', action='store_true')
    p.add_argument('--s3', action='store_true')
    p.add_argument('--keep', action='store_true')
    p.add_argument('--stop', action='store_true')
    p.add_argument('--state', default=default_state())
    p.add_argument('--port-base', type=int)
    p.add_argument('--build', default='build')
    args = p.parse_args(argv)
    if args.port_base is not None and not 1024 <= args.port_base <= 65400:
        p.error('--port-base: 1024 to 65400')
    return args


def endpoint_password(stack):
    path = stack.path('conf', 'desk1.password')
    if os.path.exists(path):
        with open(path, encoding='ascii') as f:
            return f.read().strip()
    return os.urandom(ENDPOINT_PASSWORD_LEN // 2).hex()


def last_session(stack):
    rows = stack.ctl_json('sessions', 'list', '--limit', '1')
    return rows[0] if rows else None


def session_result(stack, session):
    """The object that --once prints."""
    segments = []
    for row in demo.wait_available(stack, session):
        link = json.loads(stack.ctl('recordings', 'link', row['id'],
                                    '--json'))
        segments.append({
            'id': row['id'], 'path': row['object_key'], 'url': link['url'],
            'expires_at': link['expires_at'], 'bytes': row['bytes'],
            'duration_ms': row['duration_ms'], 'width': row['width'],
            'height': row['height'], 'sha256': row['sha256'],
            'frames': row['frames']})
    return {'session': session, 'segments': segments}


def record_once(stack, endpoint, password):
    say(f'recording a session of {ONCE_SECONDS} s: alice at desk1 ...')
    before = last_session(stack)
    viewer = demo.Viewer(stack, 'alice@desk1', password).start()
    demo.work(endpoint, viewer, ONCE_SECONDS)
    viewer.close()

    def ended():
        s = last_session(stack)
        return s if s and s != before and s['ended_at'] else None
    session = wait_until(ended, 20, 'the end of the session')
    say('waiting until the recording is stored ...')
    return session_result(stack, session['id'])


def browser_link(stack):
    """The page with a one-time login in it: whoever opens it first is in."""
    return stack.ctl_json('ticket', 'alice@desk1', '--valid', '1h')['url']


def console_login(stack):
    """How to get into the console: a one-time link that makes an owner, until
    it was used."""
    url = f'https://localhost:{stack.ports.console}/'
    owners = [u['name'] for u in stack.ctl_json('user', 'list')
              if u['role'] == 'owner' and u['name'] != 'alice']
    if owners:
        return f'{url} (log in as {owners[0]})'
    link = stack.ctl_json('console', 'first-run-link', '--team', 'demo')
    return f'''{url}

Make yourself its owner; this link works once, for one hour:

    {link["url"]}'''


def ctl_command(stack):
    """The administrator's command line as whoever reads this can run it: it
    needs the account of the daemons, which the database lets in and whose
    keys it reads."""
    words = [stack.path('bin', 'relaycam'), '--config', stack.conf_file]
    if stack.user.pw_uid != os.getuid():
        by = ['sudo', '-u'] if 'SUDO_USER' in os.environ else ['runuser', '-u']
        words = [*by, stack.user.pw_name, '--', *words]
    return shlex.join(words)


def stop_command(args):
    quickstart = os.path.join(ROOT, 'quickstart')
    words = [quickstart, '--stop', '--state', os.path.abspath(args.state)]
    if 'SUDO_USER' in os.environ and os.getuid() == 0:
        words.insert(0, 'sudo')
    return shlex.join(words)


def print_how_to(stack, password, args, recording=None):
    """recording: the id of one that is there, for a command that works."""
    ca = shlex.quote(stack.path('ca.pem'))
    ctl = ctl_command(stack)
    say(f'''
Relaycam runs. The console is {console_login(stack)}

Open the desktop in a browser; this link works once, for one hour. The browser
warns of the certificate unless {ca} is among its authorities.

    {browser_link(stack)}

The HTTP API (docs/api.md) is https://localhost:{stack.ports.console}/api/v1/

Later, or again: https://localhost:{stack.ports.web}/#user=alice&endpoint=desk1

Or connect with TigerVNC's viewer:

    xtigervncviewer -SecurityTypes X509Plain -X509CA {ca} localhost::{stack.ports.relay}

    user name   alice@desk1
    password    {password}

Any viewer that speaks VeNCrypt X509Plain will do; the CA is {ca}.
Recording of attended and unattended access is off in a new team; the
quickstart has switched both on for its team "demo".

    {ctl} sessions list
    {ctl} recordings list
    {ctl} recordings link {recording or "ID"}

State and logs: {stack.state}. ''' + (
        f'This stops everything:\n\n    {stop_command(args)}\n'
        if args.once else 'Ctrl-C stops everything.'))


def wait_for_stop(stack):
    """Until a signal comes; a service that ends by itself is an error."""
    while True:
        for p in stack.processes:
            if p.poll() is not None and p.name in ('relay', 'storage', 'console',
                                                   'postgres', 'endpoint'):
                raise StartError(f'{p.name} ended with status '
                                 f'{p.returncode}\n{p.log_tail()}')
        time.sleep(0.5)


def pid_file(args):
    return os.path.join(os.path.abspath(args.state), 'run', 'quickstart.pid')


def serve(stack, args, on_result):
    say(f'starting in {stack.state} ...')
    stack.start()
    stack.start_console()
    with open(pid_file(args), 'w', encoding='ascii') as f:
        f.write(f'{os.getpid()}\n')
    password = demo.ensure_demo_team(stack, endpoint_password(stack))
    endpoint = demo.Endpoint(stack, endpoint_password(stack)).start()
    if args.once:
        result = record_once(stack, endpoint, password)
        if not args.keep:
            return result
        print_how_to(stack, password, args, result['segments'][0]['id'])
        on_result(result)
    else:
        print_how_to(stack, password, args)
    wait_for_stop(stack)
    return None


def stop_running(args):
    """--stop: ends what an earlier --keep left running."""
    try:
        with open(pid_file(args), encoding='ascii') as f:
            pid = int(f.read())
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        say(f'quickstart: nothing runs in {args.state}')
        return 1
    wait_until(lambda: not os.path.exists(f'/proc/{pid}'), 60,
               'the running quickstart')
    return 0


def in_background(run):
    """Runs run(on_result) in a process of its own and returns as soon as it
    has a result or has ended; afterwards it goes on without a terminal."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.setsid()

        def on_result(result):
            os.write(writer, (json.dumps(result) + '\n').encode())
            os.close(writer)
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
        os._exit(run(on_result))
    os.close(writer)
    with os.fdopen(reader) as f:
        line = f.readline()
    if line:
        print(line, end='', flush=True)
        return 0
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def on_signal(number, frame):
    raise KeyboardInterrupt


def run(args, on_result):
    signal.signal(signal.SIGTERM, on_signal)
    stack, result, status = None, None, 0
    try:
        stack = Stack(args.state, args.build, Ports(args.port_base), args.s3)
        result = serve(stack, args, on_result)
    except KeyboardInterrupt:
        say('stopping ...')
    except StartError as e:
        say(f'quickstart: {e}')
        status = 1
    except OSError as e:
        say(f'quickstart: {e.filename or ""}: {e.strerror}')
        status = 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if stack is not None:
            stack.stop()
    if result is not None:
        print(json.dumps(result), flush=True)
    return status


def main(argv):
    args = parse(argv)
    try:
        if args.stop:
            return stop_running(args)
        if args.once and args.keep:
            return in_background(lambda on_result: run(args, on_result))
        return run(args, None)
    except (StartError, KeyboardInterrupt) as e:
        say(f'quickstart: {e}')
        return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
