"""Clients of GET events: one that a test waits on, and many at once."""
import asyncio
import http.client
import json
import ssl

from console_openapi import DOCUMENT

SCHEMAS = {'session': 'Session', 'recording': 'Recording',
           'endpoint': 'Endpoint'}


def fields(lines):
    """{name: value} of one event; None for a comment alone."""
    out = {}
    for line in lines:
        name, _, value = line.partition(':')
        if name:
            out[name] = value.removeprefix(' ')
    return out or None


def check(event):
    """The data is what GET of the thing answers."""
    kind, _, what = event['event'].partition('_')
    if what in ('started', 'changed', 'ended'):
        DOCUMENT.validator({
            '$ref': f'#/components/schemas/{SCHEMAS[kind]}'}).validate(
                event['data'])


class Listener:
    """A stream with the login of a console_env.Client.

    with Listener(alice) as events:
        events.until('session_started')['data']['id']
    """

    def __init__(self, client, after=None, path='events'):
        console = client.console
        context = ssl.create_default_context(cafile=str(console.cert))
        self.http = http.client.HTTPSConnection(
            'localhost', console.port, timeout=60, context=context)
        headers = {k: client.http.headers[k] for k in ('Authorization',)
                   if k in client.http.headers}
        if client.http.cookies:
            headers['Cookie'] = '; '.join(
                f'{c.name}={c.value}' for c in client.http.cookies)
        if after is not None:
            headers['Last-Event-ID'] = str(after)
        self.http.request('GET', f'/api/v1/{path}', headers=headers)
        self.answer = self.http.getresponse()
        self.last_id = after

    def __enter__(self):
        assert self.answer.status == 200, self.answer.read()
        assert self.answer.headers['Content-Type'] == 'text/event-stream'
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.answer.close()
        self.http.close()

    def next(self):
        """The next event: event, id, data; None at the end of the stream."""
        lines = []
        while True:
            line = self.answer.readline().decode()
            if line == '':
                return None
            if line != '\n':
                lines.append(line.rstrip('\n'))
                continue
            event = fields(lines)
            lines = []
            if event is None or 'event' not in event:
                continue
            event['data'] = json.loads(event['data'])
            check(event)
            self.last_id = event['id'] = int(event['id'])
            return event

    def until(self, name, **data):
        """The next event of that name with these members; those before it
        are dropped."""
        while True:
            event = self.next()
            assert event is not None, f'the stream ended before {name}'
            if event['event'] == name and all(
                    event['data'].get(k) == v for k, v in data.items()):
                return event

    def names(self, until):
        """Names up to and with an event that is `until`."""
        out = []
        while not out or out[-1] != until:
            event = self.next()
            assert event is not None, f'the stream ended before {until}'
            out.append(event['event'])
        return out


class Crowd:
    """Many listeners that come back when their stream ends, each behind the
    last event it had, as EventSource does. seen: per listener the events
    [(id, name, data)]."""

    def __init__(self, console, cookies):
        self.console, self.cookies = console, cookies
        self.context = ssl.create_default_context(cafile=str(console.cert))
        self.seen = [[] for _ in cookies]
        self.ready = [False] * len(cookies)
        self.opened = 0
        self.opening = asyncio.Semaphore(20)
        self.tasks = []

    def start(self):
        self.tasks = [asyncio.create_task(self.listen(i))
                      for i in range(len(self.cookies))]

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def listen(self, i):
        while True:
            try:
                await self.stream(i)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                pass
            await asyncio.sleep(0.2)  # as `retry` asks for, but sooner

    async def open(self, i):
        async with self.opening:
            reader, writer = await asyncio.open_connection(
                '127.0.0.1', self.console.port, ssl=self.context,
                server_hostname='localhost')
            last = (f'Last-Event-ID: {self.seen[i][-1][0]}\r\n'
                    if self.seen[i] else '')
            writer.write((f'GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n'
                          f'Cookie: {self.cookies[i]}\r\n{last}\r\n').encode())
            head = await reader.readuntil(b'\r\n\r\n')
        if not head.startswith(b'HTTP/1.1 200 '):
            writer.close()
            raise ValueError(head)
        self.opened += 1
        return reader, writer

    async def stream(self, i):
        reader, writer = await self.open(i)
        text = b''
        try:
            while True:
                size = int(await reader.readuntil(b'\r\n'), 16)
                text += (await reader.readexactly(size + 2))[:-2]
                if size == 0:
                    return
                *events, text = text.split(b'\n\n')
                for event in events:
                    self.take(i, fields(event.decode().split('\n')))
        finally:
            writer.close()

    def take(self, i, event):
        if event and 'event' in event:
            self.seen[i].append((int(event['id']), event['event'],
                                 json.loads(event['data'])))
            self.ready[i] = True
