"""What the end user sees, on a real screen with the real dialogs: the
question (C2), the note while a session is recorded (C4), the code of an
attended session. The relay's side is agent_peer.py; with the real relay the
same is in test_agent.py."""
import os
import subprocess
import time

import pytest

from agent_peer import (CLOSE, JOINED, PONG, Peer, code, end, indicator,
                        make_certificate, open_msg, ping)
from agent_screen import Screen
from test_agent_program import (certificate, peer, server, start,  # noqa: F401
                                at)

WAITING, FULL, VIEW, DECLINED, TIMEOUT, NO_DIALOG = range(6)


@pytest.fixture(scope='module')
def screen(tmp_path_factory):
    s = Screen(tmp_path_factory.mktemp('screen'))
    yield s
    s.stop()


@pytest.fixture
def ask(peer, start, server):
    """ask(screen, **fields of OPEN): a session whose user is being asked."""
    def opened(screen, *args, env=None, **fields):
        env = {**({'DISPLAY': screen.name} if screen else {}), **(env or {})}
        agent = start(peer, 'attend', '--display', at(server), *args, env=env)
        control = peer.greet()
        fields = {'consent': 1, 'recorded': 1, **fields}
        control.send(open_msg(**fields))
        return agent, control, peer.ticket()
    return opened


@pytest.fixture
def only(tmp_path):
    """only('xmessage'): a PATH that has this dialog program and no other."""
    def path(*programs):
        folder = tmp_path / 'bin'
        folder.mkdir(exist_ok=True)
        for p in programs:
            os.symlink(f'/usr/bin/{p}', folder / p)
        return {'PATH': str(folder)}
    return path


def joins(data, server):
    vnc, _ = server.accept()
    data.message(JOINED)
    return vnc


@pytest.mark.parametrize('button,answer', [('full', FULL), ('view', VIEW),
                                           ('decline', DECLINED)])
def test_question(ask, server, screen, button, answer):
    _, _, data = ask(screen)
    assert data.consent() == (WAITING, '')
    screen.answer(button)
    assert data.consent() == (answer, '')
    if answer == DECLINED:
        assert data.at_end()
    else:
        joins(data, server)
    screen.gone()


@pytest.mark.parametrize('key', ['Return', 'space', 'Escape'])
def test_somebody_typing_grants_nothing(ask, screen, key):
    _, _, data = ask(screen)
    assert data.consent()[0] == WAITING
    screen.key(key)
    assert data.consent()[0] == DECLINED


def test_no_answer_declines(ask, screen):
    _, _, data = ask(screen, consent_s=2)
    assert data.consent()[0] == WAITING
    began = time.monotonic()
    screen.window()
    assert data.consent() == (TIMEOUT, '')
    assert 1.5 < time.monotonic() - began < 4
    assert data.at_end()
    screen.gone()


def test_question_goes_with_the_session(ask, screen, peer):
    """By END, by the data channel's end, and with the agent."""
    agent, control, data = ask(screen)
    screen.window()
    control.send(end('the technician gave up'))
    assert data.consent()[0] == WAITING and data.at_end()
    screen.gone()
    control.send(open_msg(consent=1))
    data = peer.ticket()
    screen.window()
    data.close()
    screen.gone()
    control.send(open_msg(consent=1))
    data = peer.ticket()
    screen.window()
    agent.process.kill()
    agent.process.wait()
    screen.gone()
    agent.process.returncode = 0  # killed on purpose


def test_names_are_only_names(ask, screen, tmp_path):
    """Not markup, not an option, not an escape: the window is the same as
    with a plain name."""
    for name in ('<b>x</b> & "y"', '--timeout=1', r'a\nb %s', '# 5\\'):
        agent, _, data = ask(screen, technician=name, team='<i>')
        assert data.consent()[0] == WAITING
        screen.answer('view')
        assert data.consent()[0] == VIEW
        screen.gone()
        assert agent.stop() == 0


def test_xmessage(ask, server, screen, only):
    env = only('xmessage')
    _, control, data = ask(screen, env=env, technician='-help Jürgen <b>')
    assert data.consent()[0] == WAITING
    window = screen.window()
    g = screen.geometry(window)
    # the last of three buttons below the text: view only
    screen.run('xdotool', 'mousemove', '--window', window, '260',
               str(g['HEIGHT'] - 12), 'click', '1')
    assert data.consent()[0] == VIEW
    joins(data, server)


def test_xmessage_that_is_closed_declines(ask, screen, only):
    _, _, data = ask(screen, env=only('xmessage'))
    window = screen.window()
    assert data.consent()[0] == WAITING
    screen.run('xdotool', 'windowclose', window)
    assert data.consent()[0] == DECLINED


def test_nobody_to_ask(ask, only, screen):
    """No screen; a screen that is not there; no program."""
    _, _, data = ask(None)
    answer, why = data.consent()
    assert answer == NO_DIALOG and 'screen' in why
    assert data.at_end()


def test_screen_that_is_not_there(ask):
    _, _, data = ask(None, env={'DISPLAY': ':9876'})
    assert data.consent()[0] == WAITING
    assert data.consent()[0] == NO_DIALOG
    assert data.at_end()


def test_no_program_to_ask_with(ask, screen, only):
    _, _, data = ask(screen, env=only())
    assert data.consent()[0] == NO_DIALOG


@pytest.mark.parametrize('command,answer', [
    ('echo full', FULL), ('echo view', VIEW), ('echo decline', DECLINED),
    ('echo fullest', NO_DIALOG), ('echo full; exit 1', NO_DIALOG),
    ('true', NO_DIALOG), ('/nonexistent', NO_DIALOG),
    ('kill -9 $$', NO_DIALOG), ('yes', TIMEOUT), ('exec sleep 100', TIMEOUT),
    ('test "$RELAYCAM_TECHNICIAN" = "a;b" && test $RELAYCAM_TEAM = support '
     '&& test $RELAYCAM_RECORDED = maybe && test $RELAYCAM_SECONDS = 2 '
     '&& echo full', FULL)])
def test_configured_command(ask, command, answer):
    agent, _, data = ask(None, '--set', f'agent.consent_command={command}',
                         technician='a;b', recorded=2, consent_s=2)
    assert data.consent()[0] == WAITING
    assert data.consent()[0] == answer


def test_command_that_ignores_its_end(ask, tmp_path):
    """It is killed after a grace of two seconds."""
    pid = tmp_path / 'pid'
    _, control, data = ask(None, '--set', 'agent.consent_command='
                           f'trap "" TERM; echo $$ >{pid}; while :; do '
                           'sleep 1; done')
    assert data.consent()[0] == WAITING
    number = Screen.until(lambda: pid.exists() and pid.read_text().strip(),
                          'the command')
    control.send(end())
    Screen.until(lambda: not os.path.exists(f'/proc/{number}'), 'its end')


def test_note_while_recorded(ask, server, screen):
    """It comes, changes, goes; and goes with the session."""
    _, control, data = ask(screen, consent=0)
    vnc = joins(data, server)
    note = 'This session is being recorded - technician alice of support'
    control.send(indicator(1, note))
    first = screen.until(screen.note, 'the note')
    control.send(indicator(1, note + ' (2)'))
    screen.until(lambda: screen.note() not in (b'', first), 'the change')
    control.send(indicator(0))
    screen.until(lambda: screen.note() == b'', 'its end')
    control.send(indicator(1, note))
    # as before, above a window that is raised over everything
    xterm = subprocess.Popen(['xterm', '-geometry', '200x50+0+0'],
                             env=screen.env)
    window = screen.until(lambda: screen.run(
        'xdotool', 'search', '--onlyvisible', '--class', 'XTerm'), 'a window')
    screen.run('xdotool', 'windowraise', window.split()[0])
    screen.until(lambda: screen.colours(window.split()[0]) > 1, 'its text')
    assert screen.until(screen.note, 'the note again') == first
    xterm.terminate()
    xterm.wait()
    data.close()
    screen.until(lambda: screen.note() == b'', 'its end with the session')
    assert vnc.recv(1) == b''


def test_note_with_zenity(ask, server, screen, only):
    _, control, data = ask(screen, consent=0, env=only('zenity'))
    vnc = joins(data, server)
    control.send(indicator(1, '--help <b>recorded</b> \\n'))
    screen.window()
    vnc.close()
    screen.gone()


def test_note_of_an_unknown_session(ask, server, screen):
    _, control, data = ask(screen, consent=0)
    vnc = joins(data, server)
    control.send(indicator(1, 'x', session='0' * 8 + '-0000' * 3 + '-' +
                           '0' * 12))
    control.send(ping(1))
    control.message(PONG)
    assert screen.windows() == []
    vnc.close()


def test_configured_note(ask, server, tmp_path):
    out = tmp_path / 'note'
    _, control, data = ask(None, '--set', 'agent.indicator_command='
                           f'echo "$RELAYCAM_TEXT" >{out}; exec sleep 100',
                           consent=0)
    vnc = joins(data, server)
    control.send(indicator(1, 'recorded; $(x)'))
    assert Screen.until(lambda: out.exists() and out.read_text(),
                        'the note') == 'recorded; $(x)\n'
    vnc.close()


def test_code_in_a_window(peer, start, screen):
    agent = start(peer, env={'DISPLAY': screen.name})
    control = peer.greet()
    control.send(code('123456789'))
    first = screen.pixels(screen.window('Session code'))
    control.close()
    control = peer.greet()
    control.send(code('987654321'))
    window = screen.until(
        lambda: next((w for w in screen.windows('Session code')
                      if screen.pixels(w) not in (b'', first)
                      and screen.colours(w) > 20), None), 'the new code')
    screen.run('xdotool', 'windowfocus', '--sync', window, 'key', 'Return')
    assert control.message(CLOSE) == b''
    assert agent.status() == 0
    assert '987 654 321' in agent.out()
    screen.gone('Session code')
