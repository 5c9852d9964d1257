"""The monitor picker: three monitors of one Xvnc, all or one. T10, X6."""
import numpy as np
import pytest
from conftest import make_rig
from PIL import Image
from process import wait_until
from rfb_client import Client
from selenium.webdriver.support.ui import Select
from viewer_page import Page

MONITORS = [(0, 0, 800, 600), (800, 0, 640, 480), (1440, 0, 400, 640)]
SIZE = (1840, 640)


@pytest.fixture(scope='module')
def rig(request):
    rig = make_rig(request).start()
    rig.endpoint.xdotool('windowkill', rig.endpoint.clock)
    with Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                'alice@desk1', rig.password) as c:
        # what an endpoint did not announce is not forwarded to it
        c.request(incremental=False)
        c.run_until(lambda: c.screens)
        c.set_desktop_size(*SIZE, MONITORS)
        c.request()
        c.run_until(lambda: (c.width, c.height) == SIZE)
    return rig


@pytest.fixture(scope='module')
def page(rig):
    page = Page(rig.stack.ports.web)
    page.open('#endpoint=desk1&user=alice')
    page.login('alice', 'desk1', rig.password)
    page.wait_connected()
    page.set_picture('high', 'one')
    yield page
    page.close()


def choices(page):
    return [o.text for o in Select(page.at('monitor')).options]


def assert_shows(rig, page, area, tmp_path):
    """The canvas is this area of the desktop."""
    shot = str(tmp_path / 'desktop.png')
    x, y, w, h = area
    # a pointer that this viewer moved is drawn by the viewer, not by Xvnc
    page.click_desktop(w // 2, h - 20)

    def same():
        got = page.canvas()
        if got.shape != (h, w, 3):
            return False
        rig.endpoint.screenshot(shot)
        want = np.asarray(Image.open(shot).convert('RGB'))[y:y + h, x:x + w]
        off = np.abs(got.astype(int) - want).max(axis=2)
        return off.max() <= 24 and (off == 0).mean() >= 0.95
    wait_until(same, 20, f'{w} x {h} at {x}, {y}')


def pick(rig, page, index):
    page.choose('monitor', index)
    wait_until(lambda: page.texts('status')[-1]['monitor'] == index, 10,
               'the relay to say so')
    w, h = MONITORS[index - 1][2:] if index else SIZE
    wait_until(lambda: page.canvas().shape == (h, w, 3), 10, 'its size')


def test_all_are_named(page):
    assert choices(page) == ['All monitors', 'Monitor 1 (800×600)',
                             'Monitor 2 (640×480)', 'Monitor 3 (400×640)']
    assert page.chosen('monitor') == '0'


@pytest.mark.parametrize('index', [2, 3, 1])
def test_one_is_picked(rig, page, tmp_path, index):
    x, y, w, h = MONITORS[index - 1]
    pick(rig, page, index)
    assert_shows(rig, page, MONITORS[index - 1], tmp_path)
    page.click_desktop(50, 70)

    def arrived():
        words = rig.endpoint.xdotool('getmouselocation').split()
        at = [int(word.split(':')[1]) for word in words[:2]]
        return abs(at[0] - x - 50) <= 1 and abs(at[1] - y - 70) <= 1
    wait_until(arrived, 10, 'the pointer at its place on the desktop')


def test_all_again(rig, page, tmp_path):
    # wider than the window: the whole of it is to be clicked
    page.set_picture('high', 'fit')
    pick(rig, page, 0)
    page.set_picture('high', 'one')
    assert page.canvas().shape == (SIZE[1], SIZE[0], 3)


def test_the_picker_follows_orders_from_elsewhere(rig, page):
    row = rig.stack.ctl_json('sessions', 'list', '--limit', '1')[0]
    rig.stack.sql(f"SELECT session_command(NULL, '{row['id']}', "
                  "'monitor', '3')")
    wait_until(lambda: page.chosen('monitor') == '3' and
               page.canvas().shape == (640, 400, 3), 10, 'monitor 3')
