"""What the metrics of all daemons say while a session runs: both formats are
valid, each series is there once, the number of series does not follow the
number of sessions, and what the session does is counted."""
import json
import re

import demo
import exposition
import pytest
import requests
from ctl import ROOT
from process import wait_until

DAEMONS = ('relay', 'storage', 'console')
SERIES_MAX = 300  # of one daemon; a bound on what a scrape costs


@pytest.fixture(scope='module', autouse=True)
def console(rig):
    rig.stack.start_console()


def scrape(rig):
    ports = rig.stack.ports
    return {name: exposition.scrape(getattr(ports, f'{name}_metrics'),
                                    f'relaycam_{name}_') for name in DAEMONS}


def value(rig, daemon, name):
    return scrape(rig)[daemon][f'relaycam_{daemon}_{name}']


def test_a_session_is_seen_by_all_daemons(rig):
    idle = scrape(rig)
    viewer = rig.viewer().start()
    try:
        viewer.wait_for_window()
        wait_until(lambda: value(rig, 'relay', 'session_states{state='
                                 '"running"}') == 1, 60, 'the state')
        demo.work(rig.endpoint, viewer, 2)
        # a recorder speaks of itself every 5 s
        wait_until(lambda: value(rig, 'relay', 'recorder_memory_bytes') > 1e6,
                   60, 'the memory of the recorder')
        wait_until(lambda: value(rig, 'relay', 'endpoint_bytes_total') > 1e4,
                   60, 'bytes before the end of the session')
        wait_until(lambda: value(rig, 'relay', 'spool_flushes_total') >= 2,
                   60, 'flushes of the spool')
        busy = scrape(rig)
    finally:
        viewer.close()
    for name in DAEMONS:
        assert set(busy[name]) == set(idle[name])
        assert 15 < len(busy[name]) < SERIES_MAX
    relay = busy['relay']
    assert relay['relaycam_relay_added_latency_seconds_count'] > 0
    assert relay['relaycam_relay_logins_accepted_total'] == 1
    assert relay['relaycam_relay_spool_flush_failures_total'] == 0
    for phase in ('viewer_tls', 'check', 'dial', 'endpoint', 'open'):
        assert relay['relaycam_relay_handshake_seconds_count'
                     f'{{phase="{phase}"}}'] >= 1, phase
    assert 0 <= relay['relaycam_relay_ring_fill_ratio'] <= 1
    wait_until(lambda: value(rig, 'storage', 'transfers_total{result="ok"}')
               >= 1, 120, 'the transfer')
    wait_until(lambda: value(rig, 'storage', 'spool_oldest_seconds') == 0,
               60, 'the spool to be empty')
    wait_until(lambda: value(rig, 'storage', 'audit_writes_total') > 0, 60,
               'audit rows')


def test_the_page_of_the_docs_names_each_metric_and_no_other(rig):
    with open(f'{ROOT}/docs/metrics.md', encoding='utf-8') as f:
        named = set(re.findall(r'^\| `([a-z0-9_]+)`', f.read(), re.M))
    found = set()
    for name, series in scrape(rig).items():
        for s in series:
            s = s.split('{')[0].removeprefix(f'relaycam_{name}_')
            found.add(re.sub(r'_seconds_(bucket|count|sum)$', '_seconds', s))
    assert named == found


def metric_names(expr):
    """Names of metrics in a PromQL expression."""
    return set(re.findall(r'\b((?:relaycam|process)_[a-z0-9_]+)', expr))


def rules():
    with open(f'{ROOT}/deploy/prometheus/relaycam.yml',
              encoding='utf-8') as f:
        text = f.read()
    return list(zip(re.findall(r'- alert: (\w+)', text),
                    re.findall(r'expr: "(.*)"\n', text), strict=True))


def test_rules_and_dashboard_ask_for_what_there_is(rig):
    found = set()
    for series in scrape(rig).values():
        found |= {s.split('{')[0] for s in series}
    asked = {}
    for alert, expr in rules():
        asked[alert] = expr
    with open(f'{ROOT}/deploy/grafana/relaycam.json', encoding='utf-8') as f:
        for panel in json.load(f)['panels']:
            for target in panel['targets']:
                asked[f'{panel["title"]} {target["refId"]}'] = target['expr']
    assert len(asked) > 40
    for who, expr in asked.items():
        names = metric_names(expr)
        assert names or who == 'RelaycamDown', who
        assert names <= found, (who, names - found)


def test_each_alert_has_its_section_in_the_run_book():
    with open(f'{ROOT}/docs/run-book.md', encoding='utf-8') as f:
        sections = re.findall(r'^## (Relaycam\w+)$', f.read(), re.M)
    assert sections == [alert for alert, _ in rules()]


TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'


def test_logs_name_the_session_and_the_trace(rig):
    """The session of the first test is found in the logs of all programs, a
    request with traceparent in those of the daemon that answered it."""
    session = rig.stack.ctl_json('sessions', 'list', '--limit', '1')[0]['id']
    assert re.search(f'session_start .*session={session}', rig.log('relay'))
    for event in ('transfer_start', 'segment_available'):
        assert re.search(f' {event} .*session={session}', rig.log('storage'))
    ports = rig.stack.ports
    for name, port, path in (('console', ports.console, '/api/v1/me'),
                             ('storage', ports.files, '/nothing')):
        r = requests.get(
            f'https://localhost:{port}{path}?secret=1', timeout=60,
            verify=rig.stack.path('ca.pem'),
            headers={'traceparent': f'00-{TRACE}-00f067aa0ba902b7-01'})
        assert r.status_code in (401, 404)
        line = wait_until(lambda n=name: re.search(
            f' request trace_id={TRACE} .*', rig.log(n)), 60, 'the line')[0]
        assert path in line and 'secret' not in line
    before = rig.log('console').count(' request ')
    requests.get(f'https://localhost:{ports.console}/api/v1/me', timeout=60,
                 verify=rig.stack.path('ca.pem'),
                 headers={'traceparent': f'00-{TRACE.upper()}-00f0-01'})
    assert rig.log('console').count(' request ') == before
