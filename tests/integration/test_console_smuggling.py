"""Requests that two readers could take for different ones: the console alone,
and behind HAProxy and nginx. A request that lies in the body of another one is
never answered, each client has the answer to its own request, and both sides
count the same requests.

Each case is a request of our own API that RFC 9112 forbids or leaves open."""
import json
import re
import socket
import ssl

import pytest

from console_env import Console
from front_proxies import Haproxy, Nginx
from pg import Cluster
from storage_env import wait_for

# how many sessions are in an answer says whose it is
HIDDEN, NEXT, VICTIM = 5, 4, 3


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster, **{
            'console.workers': '1', 'console.request_seconds': '10',
            'log.level': 'info'})
        for _ in range(HIDDEN):
            c.ctl.session()
        c.start()
        c.token = c.login('alice').post('tokens', json={
            'name': 'smuggling', 'scopes': ['*'], 'days': 1}).json()['token']
        yield c
        assert c.stop() == 0, c.log()
        assert 'ERROR: ' not in c.log(), c.log()


@pytest.fixture(scope='module', params=[Haproxy, Nginx])
def front(request, console, tmp_path_factory):
    f = request.param(console, tmp_path_factory.mktemp('front'))
    yield f
    f.stop()


def lines(*parts):
    return b''.join(p + b'\r\n' for p in parts)


def get(limit, token, *more):
    return lines(b'GET /api/v1/sessions?limit=%d HTTP/1.1' % limit,
                 b'Host: localhost', b'Authorization: Bearer ' + token, *more,
                 b'')


def post(*fields, body, version=b'HTTP/1.1', line=b'POST /api/v1/me '):
    """A request that is answered with 405 when its head is right; body: a
    function of the hidden request."""
    def make(hidden):
        content = body(hidden)
        return lines(line + version, b'Host: localhost', *(
            f.replace(b'{n}', b'%d' % len(content)) for f in fields),
            b'') + content
    return make


def chunk(data, size=None):
    return (b'%x' % len(data) if size is None else size) + b'\r\n' + data + \
        b'\r\n'


def plain(hidden):
    return hidden


def chunked(hidden):
    return chunk(hidden) + b'0\r\n\r\n'


def empty_then(hidden):
    """A body of chunks that ends at once."""
    return b'0\r\n\r\n' + hidden


CL, TE = b'Content-Length: {n}', b'Transfer-Encoding: chunked'

# read by everybody alike: the hidden request is in the body
RIGHT = {
    'a length': post(CL, body=plain),
    'chunks': post(TE, body=chunked),
    'a tab before the value': post(b'Transfer-Encoding:\tchunked',
                                   body=chunked),
    'space behind the value': post(CL + b' ', body=plain),
    'names in capitals': post(b'CONTENT-LENGTH: {n}', body=plain),
    'sizes with zeros in front': post(TE, body=lambda h: chunk(
        h, b'000%x' % len(h)) + b'0\r\n\r\n'),
    'many small chunks': post(TE, body=lambda h: b''.join(
        chunk(h[i:i + 7]) for i in range(0, len(h), 7)) + b'0\r\n\r\n'),
    'a body that is waited for': post(CL, b'Expect: 100-continue',
                                      body=plain),
}

REFUSED = 400, 413, 417, 431, 501
# one of these, and the connection closes
WRONG = {
    'a length and chunks': post(CL, TE, body=chunked),
    'chunks and a length': post(TE, CL, body=empty_then),
    'a length of nothing and chunks': post(b'Content-Length: 0', TE,
                                           body=chunked),
    'two lengths': post(CL, CL, body=plain),
    'two different lengths': post(CL, b'Content-Length: 0', body=plain),
    'two lengths in one field': post(b'Content-Length: {n}, {n}', body=plain),
    'a length with a sign': post(b'Content-Length: +{n}', body=plain),
    'a length below nothing': post(b'Content-Length: -1', body=plain),
    'a length in hex': post(b'Content-Length: 0x10', body=plain),
    'a length of two words': post(b'Content-Length: {n} 0', body=plain),
    'a length without a value': post(b'Content-Length:', body=plain),
    'two encodings': post(b'Transfer-Encoding: gzip, chunked', body=chunked),
    'chunks twice': post(b'Transfer-Encoding: chunked, chunked',
                         body=chunked),
    'two fields of encodings': post(TE, b'Transfer-Encoding: identity',
                                    body=chunked),
    'the encoding identity': post(b'Transfer-Encoding: identity', CL,
                                  body=plain),
    'an encoding nobody knows': post(b'Transfer-Encoding: xchunked',
                                     body=chunked),
    'an encoding with a parameter': post(b'Transfer-Encoding: chunked;a=b',
                                         body=chunked),
    'an encoding in quotes': post(b'Transfer-Encoding: "chunked"',
                                  body=chunked),
    'an encoding over two lines': post(b'Transfer-Encoding:\r\n chunked',
                                       body=chunked),
    'a field over two lines': post(CL, b'X: a\r\n\tb', body=plain),
    'white space before a colon': post(CL, b'Transfer-Encoding : chunked',
                                       body=plain),
    'white space before a name': post(CL, b' X: y', body=plain),
    'a field without a colon': post(CL, b'X', body=plain),
    'a field without a name': post(CL, b': x', body=plain),
    'NUL in a value': post(CL, b'X: a\0b', body=plain),
    'CR in a value': post(CL, b'X: a\rb', body=plain),
    'a control character in a name': post(CL, b'X\x01: a', body=plain),
    'LF in the place of CR LF': lambda h: post(
        CL, body=plain)(h).replace(b'\r\n', b'\n', 3),
    'an encoding behind LF': post(CL, b'X: y\nTransfer-Encoding: chunked',
                                  body=chunked),
    'chunks in HTTP/1.0': post(TE, b'Connection: keep-alive', body=chunked,
                               version=b'HTTP/1.0'),
    'a body with GET': post(CL, body=plain, line=b'GET /api/v1/me '),
    'chunks with DELETE': post(TE, body=chunked, line=b'DELETE /api/v1/me '),
    'two hosts': post(CL, b'Host: other', body=plain),
    'an absolute target': post(
        CL, body=plain, line=b'POST http://localhost/api/v1/me '),
    'a target with two slashes in front': post(
        CL, body=plain, line=b'POST //localhost/api/v1/me '),
    'a target with a fragment': post(CL, body=plain,
                                     line=b'POST /api/v1/me#me '),
    'an expectation nobody knows': post(CL, b'Expect: tea', body=plain),
    'a method nobody knows': post(CL, body=plain, line=b'POSTX /api/v1/me '),
    'two spaces in the first line': post(CL, body=plain,
                                         line=b'POST  /api/v1/me '),
    'a tab in the first line': post(CL, body=plain,
                                    line=b'POST\t/api/v1/me '),
    'a method in small letters': post(CL, body=plain,
                                      line=b'post /api/v1/me '),
    'HTTP/1.2': post(CL, body=plain, version=b'HTTP/1.2'),
    'no version': post(CL, body=plain, version=b''),
    'an empty line in front': lambda h: b'\r\n' + post(CL, body=plain)(h),
    'a chunk with an extension': post(TE, body=lambda h: chunk(
        h, b'%x;a=b' % len(h)) + b'0\r\n\r\n'),
    'a chunk with space behind its size': post(TE, body=lambda h: chunk(
        h, b'%x ' % len(h)) + b'0\r\n\r\n'),
    'a chunk without a size': post(TE, body=lambda h: chunk(h, b'') +
                                   b'0\r\n\r\n'),
    'a chunk whose size has a sign': post(TE, body=lambda h: chunk(
        h, b'-%x' % len(h)) + b'0\r\n\r\n'),
    'a chunk whose size has a prefix': post(TE, body=lambda h: chunk(
        h, b'0x%x' % len(h)) + b'0\r\n\r\n'),
    'a chunk over 64 bits': post(TE, body=lambda h: chunk(
        h, b'10000000000000000') + b'0\r\n\r\n'),
    'a chunk longer than its size': post(TE, body=lambda h: chunk(
        h, b'3') + b'0\r\n\r\n'),
    'LF behind a size': post(TE, body=lambda h: chunk(h).replace(
        b'\r\n', b'\n', 1) + b'0\r\n\r\n'),
    'LF behind a chunk': post(TE, body=lambda h: chunk(h)[:-2] +
                              b'\n0\r\n\r\n'),
    'a trailer': post(TE, body=lambda h: chunk(h) +
                      b'0\r\nX: y\r\n\r\n'),
}
CASES = {**RIGHT, **WRONG}


def read_all(s):
    """Until the other side closes, or says nothing for long."""
    s.settimeout(20)
    out = b''
    try:
        while part := s.recv(65536):
            out += part
    except (ssl.SSLError, OSError):
        pass
    return out


def answers(data):
    """[(status, number of sessions or None)] of what came back. Bodies have
    a length, or chunks where a proxy made them, and no line of a status in
    them."""
    found = []
    for part in re.split(rb'(?=HTTP/1\.[01] \d{3} )', data)[1:]:
        status = int(part[9:12])
        if status == 100:
            continue
        items = re.search(rb'\{"items":.*\}', part, re.S)
        found.append((status, len(json.loads(items[0])['items'])
                      if items and status == 200 else None))
    return found


def conversation(console, case):
    """The case, with a hidden request in it and a plain one behind it."""
    token = console.token.encode()
    return CASES[case](get(HIDDEN, token)) + get(NEXT, token,
                                                 b'Connection: close')


def straight(console, data):
    context = ssl.create_default_context(cafile=str(console.cert))
    with socket.create_connection(('127.0.0.1', console.port), 30) as s, \
            context.wrap_socket(s, server_hostname='localhost') as tls:
        tls.sendall(data)
        return answers(read_all(tls))


@pytest.mark.parametrize('case', RIGHT)
def test_what_is_right_is_answered(console, case):
    assert straight(console, conversation(console, case)) == [
        (405, None), (200, NEXT)]


@pytest.mark.parametrize('case', WRONG)
def test_what_is_wrong_closes_the_connection(console, case):
    found = straight(console, conversation(console, case))
    assert len(found) == 1 and found[0][0] in REFUSED, found


def through(front, data):
    with socket.create_connection(('127.0.0.1', front.port), 30) as s:
        s.sendall(data)
        return answers(read_all(s))


def ask_as_another(console, front):
    """What another client gets on the connection that they all share."""
    while True:
        found = through(front, get(VICTIM, console.token.encode(),
                                   b'Connection: close'))
        # the front had just lost that connection
        if [status for status, _ in found] not in ([502], [503]):
            return found


def count_answers(console):
    return sum(int(n) for n in re.findall(
        r'^relaycam_console_answers_total\{.*\} (\d+)$',
        console.probe('/metrics').text, re.M))


@pytest.mark.parametrize('case', CASES)
def test_front_and_back_agree(console, front, case):
    assert ask_as_another(console, front) == [(200, VICTIM)]
    before = count_answers(console) - front.passed_on()
    found = through(front, conversation(console, case))
    assert (200, HIDDEN) not in found and len(found) <= 2, found
    assert ask_as_another(console, front) == [(200, VICTIM)]
    wait_for('both to have counted the same requests',
             lambda: count_answers(console) - front.passed_on() == before)
