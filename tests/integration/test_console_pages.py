"""The console's pages as they are served: names, compression, caching, what a
browser may load, and that all files that are named are there (T5)."""
import base64
import copy
import gzip
import hashlib
import os
import re
import shutil
import signal

import pytest
import requests

from console_env import ROOT, Console
from pg import Cluster
from storage_env import free_port, wait_for

PAGES = os.path.join(ROOT, 'console', 'pages')


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    folder = tmp_path_factory.mktemp('console')
    shutil.copytree(PAGES, folder / 'pages')
    with Cluster() as cluster:
        c = Console(folder, cluster,
                    **{'console.pages_dir': folder / 'pages',
                       'store.public_url': 'https://files.example:8444'})
        # a node that still writes, one that is gone, one with a trap
        c.sql("INSERT INTO nodes (id, program, host, version, heartbeat_at, "
              "files_url) VALUES (gen_random_uuid(), 'storage', 'a', '1', "
              "now(), 'https://node-a.example'), (gen_random_uuid(), "
              "'storage', 'b', '1', now() - interval '2 days', "
              "'https://node-b.example'), (gen_random_uuid(), 'storage', 'c',"
              " '1', now(), 'https://c.example;script-src *')")
        yield c.start()
        assert c.stop() == 0, c.log()


def fetch(console, path, method='GET', **headers):
    return requests.request(
        method, console.url + path, headers={'Accept-Encoding': 'identity',
                                             **headers},
        verify=str(console.cert), timeout=60, proxies={'https': None})


def assets(console):
    """"/assets/HASH" of the page that is served now."""
    return re.search(r'/assets/[0-9a-f]{16}', fetch(console, '/').text)[0]


def files(under, ending):
    return sorted(
        os.path.relpath(os.path.join(d, n), under)
        for d, _, names in os.walk(under) for n in names
        if n.endswith(ending))


@pytest.mark.parametrize('path', ['/', '/sessions', '/login?next=%2Fx',
                                  '/sessions/1/play', '/recordings/x'])
def test_deep_links_have_the_same_page(console, path):
    r = fetch(console, path)
    assert r.status_code == 200
    assert r.headers['Content-Type'] == 'text/html; charset=utf-8'
    assert r.headers['Cache-Control'] == 'no-cache'
    assert r.text == fetch(console, '/').text
    assert '{{' not in r.text


@pytest.mark.parametrize('path', ['/nothing', '/sessionsx', '/session',
                                  '/index.html', '/style.css', '/..%2f',
                                  '/api', '/%00', '/' + 'a' * 5000])
def test_other_paths_are_404_with_a_page(console, path):
    r = fetch(console, path)
    assert r.status_code == 404
    assert '<div id="app">' in r.text


def test_the_api_keeps_its_own_404(console):
    r = fetch(console, '/api/v1/nothing')
    assert r.status_code == 404
    assert r.headers['Content-Type'] == 'application/problem+json'


@pytest.mark.parametrize('method', ['POST', 'PUT', 'DELETE', 'PATCH'])
def test_other_methods_are_refused(console, method):
    r = fetch(console, '/sessions', method)
    assert r.status_code == 405
    assert r.headers['Allow'] == 'GET, HEAD'


def test_head_has_no_body(console):
    r = fetch(console, '/sessions', 'HEAD')
    assert (r.status_code, r.content) == (200, b'')
    assert 'Content-Security-Policy' in r.headers


@pytest.mark.parametrize('name', files(PAGES, ('.js', '.css', '.svg')))
def test_every_file_is_served_compressed_and_for_ever(console, name):
    url = f'{assets(console)}/{name}'
    plain = fetch(console, url)
    with open(os.path.join(PAGES, name), 'rb') as f:
        want = f.read()
    assert plain.status_code == 200
    assert plain.content == want
    assert plain.headers['Cache-Control'] == (
        'public, max-age=31536000, immutable')
    assert 'Content-Encoding' not in plain.headers
    raw = requests.get(console.url + url, verify=str(console.cert),
                       headers={'Accept-Encoding': 'gzip'}, stream=True,
                       timeout=60, proxies={'https': None})
    body = raw.raw.read(decode_content=False)
    if len(want) > 200:
        assert raw.headers['Content-Encoding'] == 'gzip'
        assert raw.headers['Vary'] == 'Accept-Encoding'
        assert gzip.decompress(body) == want
        assert len(body) < len(want)


def test_modules_of_others_come_with_their_licences(console):
    base = assets(console)
    for name in ('preact.mjs', 'hooks.mjs', 'htm.mjs'):
        r = fetch(console, f'{base}/modules/{name}')
        assert r.status_code == 200
        assert r.headers['Content-Type'].startswith('text/javascript')
    for name, words in (('preact-licence.txt', 'MIT'),
                        ('htm-licence.txt', 'Apache')):
        assert words in fetch(console, f'{base}/modules/{name}').text


def test_pages_that_name_no_icon_have_one(console):
    r = fetch(console, '/favicon.ico')
    assert (r.status_code, r.headers['Content-Type']) == (200, 'image/svg+xml')
    assert 'immutable' not in r.headers['Cache-Control']


@pytest.mark.parametrize('rest', ['/main.jsx', '', '/', '/../main.js',
                                  '/package.json', '/modules', '/.git'])
def test_nothing_else_is_served(console, rest):
    assert fetch(console, assets(console) + rest).status_code == 404


def test_another_version_is_404(console):
    assert fetch(console, '/assets/0123456789abcdef/main.js'
                 ).status_code == 404


def test_policy(console):
    r = fetch(console, '/')
    policy = dict(p.strip().split(' ', 1) for p in
                  r.headers['Content-Security-Policy'].split(';'))
    maps = re.findall(r'<script type="importmap">(.*?)</script>', r.text,
                      re.S)
    digest = base64.b64encode(hashlib.sha256(maps[0].encode()).digest())
    assert len(maps) == 1
    assert policy['script-src'] == f"'self' 'sha256-{digest.decode()}'"
    assert policy['default-src'] == "'self'"
    assert policy['frame-ancestors'] == policy['object-src'] == "'none'"
    for name in ('media-src', 'img-src', 'connect-src'):
        assert 'https://files.example:8444' in policy[name].split()
        assert 'https://node-a.example' in policy[name].split()
        assert 'node-b' not in policy[name]
    assert 'unsafe' not in str(policy)
    assert r.headers['X-Content-Type-Options'] == 'nosniff'
    assert r.headers['Referrer-Policy'] == 'no-referrer'
    assert len(r.raw.headers.getlist('Content-Security-Policy')) == 1
    assert len(r.raw.headers.getlist('Cache-Control')) == 1


def test_page_has_nothing_inline_but_the_map(console):
    text = fetch(console, '/').text
    assert not re.search(r'<style|style=|\son[a-z]+=', text)
    for attributes, body in re.findall(r'<script(.*?)>(.*?)</script>', text,
                                       re.S):
        assert 'importmap' in attributes or not body.strip()


def test_all_that_is_named_is_there(console):
    """Each relative import, each file that the page names."""
    have = set(files(PAGES, ('.js', '.css', '.svg')))
    have |= {f'modules/{n}' for n in ('preact.mjs', 'hooks.mjs', 'htm.mjs')}
    named = set(re.findall(r'/assets/[0-9a-f]{16}/([^"]+)',
                           fetch(console, '/').text))
    for name in files(PAGES, '.js'):
        with open(os.path.join(PAGES, name), encoding='utf-8') as f:
            for to in re.findall(r"(?:from|import|new URL)\s*\(?\s*'"
                                 r"([^']+\.(?:js|css))'", f.read()):
                named.add(os.path.normpath(
                    os.path.join(os.path.dirname(name), to)))
    assert named <= have, named - have
    unused = {n for n in have - named if not n.endswith('index.html')}
    assert not unused, f'nothing names {unused}'


def test_list_of_pages_is_the_routers(console):
    text = fetch(console, '/').text
    listed = set(re.search(r'data-pages="([^"]+)"', text)[1].split())
    with open(os.path.join(PAGES, 'main.js'), encoding='utf-8') as f:
        routed = {p.split('/')[1] for p in
                  re.findall(r"^  \[?'(/[^']+)'", f.read(), re.M)}
    assert listed == routed


def test_pages_are_there_without_a_database(console, tmp_path):
    away = copy.copy(console)
    away.dir = tmp_path
    away.port, away.metrics_port = free_port(), free_port()
    away.url = f'https://localhost:{away.port}'
    away.settings = {
        **console.settings,
        'database.url': f'postgresql:///none?host={tmp_path}',
        'console.listen': f'127.0.0.1:{away.port}',
        'console.metrics_listen': f'127.0.0.1:{away.metrics_port}'}
    away.all_ready = lambda: _answers(away)
    away.process = None
    away.start()
    try:
        r = fetch(away, '/sessions')
        assert r.status_code == 200
        assert fetch(away, '/api/v1/me', Cookie='__Host-relaycam=' +
                     'a' * 64).status_code == 503
    finally:
        away.stop()


def _answers(console):
    assert console.process.poll() is None, console.log()
    try:
        return fetch(console, '/').status_code > 0
    except requests.ConnectionError:
        return False


def test_sighup_serves_what_the_folder_has_now(console):
    folder = console.settings['console.pages_dir']
    before = assets(console)
    with open(folder / 'main.js', 'a', encoding='utf-8') as f:
        f.write('// changed\n')
    console.process.send_signal(signal.SIGHUP)
    # one worker after the other
    wait_for('the new pages', lambda: all(
        assets(console) != before for _ in range(20)))
    assert fetch(console, f'{assets(console)}/main.js').text.endswith(
        '// changed\n')
    # a broken folder changes nothing
    (folder / 'index.html').rename(folder / 'index.bak')
    console.process.send_signal(signal.SIGHUP)
    wait_for('the log', lambda: 'pages_not_reloaded' in console.log())
    assert fetch(console, '/').status_code == 200
    (folder / 'index.bak').rename(folder / 'index.html')
