"""A device removes its capture when storage says that it has all of it: that is
said of what was checked, and not of what was lost afterwards. C7, M2."""
import os

from device_env import wait_received
from storage_fixtures import cluster, database_away  # noqa: F401
from test_device_captures import device  # noqa: F401


def test_a_whole_one_is_checked_before_it_is_continued(device):  # noqa: F811
    """Its last bytes came wrong, storage died, and the device begins anew."""
    env = device.use()
    c = device.capture()
    device.create(c)
    device.append(c, 0, c.bytes[:1000])
    env.stop()
    with open(os.path.join(env.spool, 'uploads', f'{c.id}.data'), 'ab') as f:
        f.write(bytes(len(c.bytes) - 1000))
    device.use()
    status, fields, text = device.wait('an answer', lambda: (
        a := device.create(c))[0] not in (423, 503) and a)
    # 201: it was checked, and put aside, before the device came
    assert status in (460, 201), (status, fields, text)
    if status == 460:
        assert 'upload-offset' not in fields
        assert device.create(c)[0] == 201
    assert device.append(c, 0, c.bytes)[0] == 204
    wait_received(c)


def test_one_that_was_lost_is_wanted_again(device):  # noqa: F811
    """It was received, and is gone from the spool: M4."""
    env = device.use()
    c = device.capture()
    assert device.request('DELETE', f'/captures/{c.id}')[0] == 204
    device.wait_status(c, 'missing')
    env.rows("UPDATE device_captures SET received_at = now(), bytes = 1, "
             'sha256 = %s WHERE id = %s', bytes(32), c.id)
    assert device.create(c)[0] == 201
    assert device.offset(c) == 0
    assert device.append(c, 0, c.bytes)[0] == 204
    wait_received(c)


def test_no_503_to_head_while_the_database_is_away(device):  # noqa: F811
    """tus-js-client takes 503 to HEAD for the end of the upload and sends all
    again (findings/); the other methods say 503."""
    env = device.use()
    c = device.capture()
    assert device.create(c)[0] == 201
    assert device.append(c, 0, c.bytes[:1000])[0] == 204
    with database_away(env):
        status, fields, text = device.request('HEAD', f'/captures/{c.id}')
        assert (status, fields['retry-after']) == (423, '1'), (fields, text)
        assert device.append(c, 1000, c.bytes[1000:1010])[0] == 503
    device.wait('the database', lambda: device.request(
        'HEAD', f'/captures/{c.id}')[0] == 200)
    assert device.append(c, 1000, c.bytes[1000:])[0] == 204
    wait_received(c)
