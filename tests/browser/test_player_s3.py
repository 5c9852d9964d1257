"""The console's player on recordings in S3, which storage reads for it: cues
are in the file, manifest and poster come through storage too (M8, X3, X5)."""
import conftest
import pytest

from console_page import ConsolePage
from player_page import PlayerPage
from player_rig import KnownSession, Part


@pytest.fixture(scope='module')
def rig(request):
    rig = conftest.make_rig(request, s3=True).start()
    rig.stack.start_console()
    return rig


def test_plays_seeks_and_checks(rig):
    session = KnownSession(rig, [
        Part([(250 * i, i) for i in range(200)], 50_000),
        Part([(250 * i, 500 + i) for i in range(40)], 10_000)]).store()
    page = ConsolePage(f'https://localhost:{rig.stack.ports.console}')
    try:
        page.login('alice', rig.password)
        player = PlayerPage(page).open(session.id, '#t=41')
        for ms in (41_000, 3_000, 55_000, 30_000):
            player.seek(ms)
            assert player.number() in session.at(ms, 100, 100), ms
        player.until(lambda s: s['checked'] == 'good', 'green')
        for ms in (35_000, 52_000):
            assert player.hover_number(ms) in session.at(ms, 100, 100), ms
        # a recording that the page has not read: a link would say that it
        # was watched
        count = "SELECT count(*) FROM audit WHERE action = 'link'"
        links = rig.stack.sql(count)
        player.js('''
const p = document.querySelector('rc-player');
p.playback.files.clear();
p.thumbnails.played.clear();
p.thumbnails.hover.kept = [];''')
        player.hover(20_000)
        page.until(lambda: player.js('''
const i = document.querySelector('.rct-tip img');
return i && i.complete && i.naturalWidth > 0 && i.src.endsWith('poster')'''),
                   'the poster')
        assert rig.stack.sql(count) == links
        assert not page.problems()
    finally:
        page.close()
