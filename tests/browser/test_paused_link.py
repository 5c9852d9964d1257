"""A signed link is opened in Chromium, paused until the browser has given up
its connection and the link is dead, and played on (T6); and a tab, mpv and
curl at one link while the network is gone for more than a minute."""
import hashlib
import http.cookiejar
import os
import socket
import subprocess
import threading
import time

import pytest

from pg import Cluster
from storage_env import Ceph, Segment, Storage, free_port, wait_for
from test_recording_plays import browser  # noqa: F401

SECONDS = 30
GONE_S = 70  # longer than a minute, and than any limit of ours by default

LOOK = '''
const v = document.querySelector('video');
return [v.currentTime, v.duration, v.ended, v.paused,
        v.error && v.error.message];
'''

# mpv prints the last time that it showed
LAST_TIME = '''
local last = 0
mp.observe_property("time-pos", "number",
  function(_, at) if at then last = at end end)
mp.register_event("file-loaded", function() print("BEGUN") end)
mp.register_event("shutdown", function() print("AT " .. last) end)
'''


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    """Larger than what a browser buffers."""
    folder = tmp_path_factory.mktemp('film')
    part, whole = str(folder / 'part.webm'), str(folder / 'film.webm')
    subprocess.run(
        ['ffmpeg', '-v', 'error', '-f', 'lavfi', '-i',
         "nullsrc=s=640x360:r=10,geq=lum='random(1)*255':cb=128:cr=128",
         '-t', '5', '-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used',
         '16', '-b:v', '24M', '-minrate', '24M', '-maxrate', '24M', '-g',
         '20', part], check=True, timeout=300)
    subprocess.run(
        ['ffmpeg', '-v', 'error', '-stream_loop', str(SECONDS // 5 - 1),
         '-i', part, '-c', 'copy', whole], check=True, timeout=60)
    with open(whole, 'rb') as f:
        data = f.read()
    assert len(data) > 40_000_000
    return data


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        yield c


@pytest.fixture(params=['folder', 's3'])
def env(request, tmp_path, cluster, tmp_path_factory):
    ceph = None
    if request.param == 's3':
        ceph = Ceph(tmp_path_factory.mktemp('ceph'))
    e = Storage(tmp_path, cluster, ceph)
    yield e
    e.close()
    if ceph:
        ceph.stop()


def place(env, data):
    seg = Segment(env, 1)
    seg.data, seg.sha256 = data, hashlib.sha256(data).digest()
    seg.manifest['bytes'] = len(data)
    seg.place().wait_stored(120)
    return seg


class Tab:
    def __init__(self, driver):
        self.driver = driver

    def look(self):
        at, duration, ended, paused, error = self.driver.execute_script(LOOK)
        assert error is None, error
        return at, duration, ended, paused

    def at(self):
        return self.look()[0]

    def run(self, script):
        self.driver.execute_script(
            "const v = document.querySelector('video'); v.muted = true; " +
            script)

    def wait(self, what, probe, timeout_s=120):
        wait_for(what, lambda: probe(*self.look()), timeout_s)


def open_link(driver, url):
    driver.get(url)
    tab = Tab(driver)
    tab.run('v.play()')
    tab.wait('it to play', lambda at, *_: at > 1)
    return tab


def test_a_paused_tab_plays_on_when_the_link_is_dead(
        env, browser, film):  # noqa: F811
    env.start()
    seg = place(env, film)
    url = env.link(seg.key, seconds=25)
    tab = open_link(browser, url)
    tab.run('v.pause()')
    stands = tab.at()
    assert stands < SECONDS / 2
    wait_for('the link to be dead', lambda: env.get(
        url, Range='bytes=0-9').status_code == 403, 60)
    wait_for('Chromium to close its connection',
             lambda: env.metric('files_active') == 0, 120)
    before = env.metric('files_resumed_total')
    tab.run('v.play()')
    tab.wait('it to go on', lambda at, *_: at > stands + 5)
    tab.run('v.currentTime = 1')
    tab.wait('it to seek back', lambda at, *_: 1 <= at < stands + 5)
    tab.run(f'v.currentTime = {SECONDS - 3}')
    tab.wait('the end', lambda at, d, ended, p: ended)
    assert env.metric('files_resumed_total') > before
    # the same link elsewhere is dead
    assert env.get(url).status_code == 403


class Network:
    """Between clients and storage. gone(): no byte passes any more, and none
    is refused; back(cut): they pass again, or all connections break."""

    def __init__(self, port, target):
        self.target = target
        self.passes = threading.Event()
        self.passes.set()
        self.sockets = []
        self.listener = socket.create_server(('127.0.0.1', port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,),
                             daemon=True).start()

    def _serve(self, client):
        self.passes.wait()
        server = socket.create_connection(('127.0.0.1', self.target))
        pair = (client, server)
        self.sockets += pair
        for a, b in (pair, pair[::-1]):
            threading.Thread(target=self._pump, args=(a, b),
                             daemon=True).start()

    def _pump(self, source, sink):
        try:
            while data := source.recv(65536):
                self.passes.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for s in (source, sink):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def gone(self):
        self.passes.clear()

    def back(self, cut):
        for s in self.sockets if cut else ():
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.passes.set()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.back(cut=True)


@pytest.mark.parametrize('cut', [False, True], ids=['stands', 'breaks'])
def test_the_network_is_gone_for_a_minute(
        tmp_path, cluster, browser, film, cut):  # noqa: F811
    env = Storage(tmp_path, cluster)
    front = free_port()
    env.settings['store.public_url'] = f'https://127.0.0.1:{front}'
    network = Network(front, env.files_port)
    try:
        env.start()
        url = env.link(place(env, film).key, seconds=60)
        tab = open_link(browser, url)
        out, jar = str(tmp_path / 'out'), str(tmp_path / 'jar')
        common = ['--cacert', f'{env.dir}/tls.crt', '--noproxy', '*',
                  '-sS', '-o', out, url]
        said, script = tmp_path / 'said', tmp_path / 'last.lua'
        script.write_text(LAST_TIME)
        curl = subprocess.Popen(
            ['curl', '-c', jar, '--limit-rate', '2M', *common])
        mpv = subprocess.Popen(
            ['mpv', '--no-config', '--no-ytdl', '--vo=null', '--ao=null',
             '--tls-verify=no', '--demuxer-max-bytes=2MiB',
             f'--script={script}', url],
            stdout=open(said, 'wb'), stderr=subprocess.STDOUT,
            env={**os.environ, 'no_proxy': '127.0.0.1'})
        wait_for('all three to be at it',
                 lambda: 'BEGUN' in said.read_text() and
                 os.path.exists(out) and os.path.getsize(out) > 1_000_000)
        network.gone()
        since = time.monotonic()
        wait_for('the network to be gone for long enough',
                 lambda: time.monotonic() - since > GONE_S, GONE_S + 30)
        assert env.get(url.replace(str(front), str(env.files_port)),
                       Range='bytes=0-9').status_code == 403
        network.back(cut)
        if cut:  # as docs/relaycam-storage.md has it
            assert curl.wait(120) != 0
            http.cookiejar.MozillaCookieJar(jar).load()
            curl = subprocess.Popen(['curl', '-b', jar, '-C', '-', *common])
        assert curl.wait(180) == 0
        with open(out, 'rb') as f:
            assert f.read() == film
        assert mpv.wait(300) == 0, said.read_text()[-2000:]
        last = float(said.read_text().rsplit('AT ', 1)[1].split()[0])
        assert last > SECONDS - 2, said.read_text()[-2000:]
        tab.wait('the tab to reach the end', lambda at, d, ended, p: ended,
                 180)
        assert tab.at() > SECONDS - 1
    finally:
        network.close()
        env.close()
