"""More recordings selected than one ZIP holds: the button says so, and one less
is taken (M5)."""
import json

import pytest

from console_env import Console
from page_fixtures import page  # noqa: F401
from pg import Cluster

N = 1001

# What is asked for, and that nothing serves it here.
NO_ARCHIVE = '''
const real = window.fetch;
window.bodies = [];
window.fetch = (url, options) => {
  if (!String(url).endsWith('/archives')) return real(url, options);
  window.bodies.push(options.body);
  return Promise.resolve(new Response('{"detail": "None here."}', {status: 503,
    headers: {'Content-Type': 'application/problem+json'}}));
};
'''


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster)
        session = c.ctl.session('2026-11-20 08:00Z', '2026-11-20 09:00Z')
        c.ctl.segment(session, 1)
        made, = c.sql("SELECT string_agg(attname, ', ') FROM pg_attribute "
                      "WHERE attrelid = 'segments'::regclass AND attnum > 0 "
                      "AND NOT attisdropped AND attgenerated = ''")
        c.sql(f'INSERT INTO segments ({made[0]}) SELECT {made[0]} FROM (SELECT '
              "(jsonb_populate_record(x, jsonb_build_object('id', "
              "gen_random_uuid(), 'seq', n, 'split_reason', 'size', "
              "'start_mono_ns', n * 1000, 'end_mono_ns', n * 1000 + 1000, "
              "'first_frame', n * 10 - 9, 'last_frame', n * 10, 'object_key', "
              "'demo/desk1/' || n || '.webm', 'started_at', x.started_at + n * "
              "interval '1 second'))).* FROM segments x, generate_series(2, "
              '%s) n) more', (N,))
        yield c.start()
        assert c.stop() == 0, c.log()


def test_a_zip_of_more_than_it_holds(console, page):  # noqa: F811
    page.open('/recordings')
    for _ in range(N // 200 + 1):
        page.until(lambda: page.rows(), 'rows')
        page.js('scrollTo(0, document.body.scrollHeight)')
        page.settle()
    page.until(lambda: 'that is all' in page.text('.table-foot') or page.js(
        'scrollTo(0, document.body.scrollHeight)'), 'all of them')
    page.js('scrollTo(0, 0)')
    page.js('arguments[0].click()', page.css('thead .c-check input'))
    page.wait_text(f'{N:,} recordings selected')
    button = page.until(lambda: next(
        b for b in page.all('.bulk button') if 'ZIP' in b.text), 'ZIP')
    assert (button.get_attribute('disabled') or
            button.get_attribute('aria-disabled') == 'true')
    page.wait_text('A ZIP holds 1,000 recordings at most: select fewer.')
    page.js('window.shifts.length = 0')  # of a script's scrolling
    page.check('recordings-too-many-for-a-zip')
    page.js(NO_ARCHIVE)
    page.js('arguments[0].click()', page.css('tbody .c-check input'))
    page.wait_text('1,000 recordings selected')
    assert 'at most: select fewer' not in page.text('.bulk')
    page.until(lambda: next(b for b in page.all('.bulk button')
                            if 'ZIP' in b.text), 'ZIP').click()
    page.wait_text('Try again', '.downloads')
    body, = page.js('return window.bodies')
    assert len(set(json.loads(body)['recordings'])) == 1000
    assert not page.problems()
