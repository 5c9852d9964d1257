"""Players read the link of a recording that still grows (X1): all of what is
there, with its length. The programs are the distribution's own."""
import json
import os
import socket
import subprocess

import pytest

from storage_env import wait_for
from test_growing import STEP_MS, Growing, cluster, env, webm  # noqa: F401

LIMIT_S = 120  # a busy machine


def run(*argv, **extra_env):
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=LIMIT_S,
        stdin=subprocess.DEVNULL,
        env={**os.environ, 'no_proxy': '127.0.0.1', **extra_env})
    assert done.returncode == 0, (argv[0], done.stderr[-2000:])
    return done.stdout, done.stderr


def packets(where):
    out, _ = run('ffprobe', '-v', 'error', '-count_packets',
                 '-show_entries', 'stream=nb_read_packets', '-of', 'json',
                 where)
    return int(json.loads(out)['streams'][0]['nb_read_packets'])


@pytest.fixture
def half(env, webm, tmp_path):  # noqa: F811
    """Half of the file is there: its link, and a copy of that half."""
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    seg.grow(len(seg.parts.clusters) // 2)
    copy = tmp_path / 'copy.webm'
    copy.write_bytes(env.get(url).content)
    yield seg, url, str(copy)
    os.close(seg.fd)


def test_ffprobe_counts_all_packets_of_a_growing_file(half):
    seg, url, copy = half
    n = packets(copy)
    assert n >= 10 and packets(url) == n
    seg.grow()
    assert packets(url) > n


def test_ffmpeg_decodes_a_growing_file(half):
    _, url, copy = half
    frames = []
    for where in (url, copy):
        out, _ = run('ffmpeg', '-v', 'error', '-i', where, '-f', 'framemd5',
                     '-')
        frames.append([line for line in out.splitlines()
                       if not line.startswith('#')])
    assert frames[0] == frames[1] and len(frames[0]) >= 10


def test_ffplay_plays_a_growing_file(half):
    _, url, _ = half
    _, err = run('ffplay', '-autoexit', '-an', '-loglevel', 'info', url,
                 SDL_VIDEODRIVER='dummy', SDL_AUDIODRIVER='dummy')
    assert 'Input #0, matroska,webm' in err
    assert 'Invalid data' not in err and 'EBML' not in err


class Mpv:
    """mpv at its first frame, asked over its socket (JSON IPC)."""

    def __init__(self, folder, url):
        path = os.path.join(folder, 'mpv.socket')
        self.process = subprocess.Popen(
            ['mpv', '--no-config', '--no-ytdl', '--vo=null', '--ao=null',
             '--pause', '--tls-verify=no', '--really-quiet',
             f'--input-ipc-server={path}', url], stdin=subprocess.DEVNULL,
            env={**os.environ, 'no_proxy': '127.0.0.1'})
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT_S)
        wait_for('mpv listens', lambda: self._alive() and
                 self.socket.connect_ex(path) == 0, LIMIT_S)
        self.lines = self.socket.makefile('r', encoding='utf-8')

    def _alive(self):
        assert self.process.poll() is None, 'mpv has ended'
        return True

    def ask(self, *command):
        """The answer's data; None while mpv does not know it."""
        self.socket.sendall(json.dumps({'command': command}).encode() +
                            b'\n')
        for line in self.lines:
            answer = json.loads(line)
            if 'event' not in answer:
                return answer.get('data')
        raise AssertionError('mpv has ended')

    def quit(self):
        self.ask('quit')
        assert self.process.wait(LIMIT_S) == 0

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.socket.close()


def test_mpv_shows_the_length_of_a_growing_file(half, tmp_path):
    """Before anything was played: it is paused."""
    seg, url, _ = half
    shown_ms = seg.parts.clusters[seg.n - 1][2]
    mpv = Mpv(str(tmp_path), url)
    try:
        # its length grows with what it has read of the link
        length = wait_for('mpv knows the length', lambda: (
            (s := mpv.ask('get_property', 'duration')) or 0) * 1000 >=
            shown_ms and s, LIMIT_S)
        assert length * 1000 <= shown_ms + 1000 + STEP_MS
        assert mpv.ask('get_property', 'time-pos') == 0
        mpv.quit()
    finally:
        mpv.close()
