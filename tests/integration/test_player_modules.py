"""The player's modules without a browser: manifests, timelines, keys and
links (X2, X3, T6), by the test runner of node."""
import glob
import os
import shutil
import subprocess

import pytest

from ctl import ROOT

MODULES = os.path.join(ROOT, 'console', 'pages', 'player')
TESTS = sorted(glob.glob(os.path.join(ROOT, 'tests', 'player', '*.test.js')))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """node takes a file for a module when a package.json says so."""
    top = tmp_path_factory.mktemp('player')
    (top / 'package.json').write_text('{"type": "module"}')
    for path in glob.glob(os.path.join(MODULES, '*.js')):
        shutil.copy(path, top)
    (top / 'tests').mkdir()
    for path in TESTS:
        shutil.copy(path, top / 'tests')
    return top


@pytest.mark.parametrize('name', [os.path.basename(t) for t in TESTS])
def test_modules(folder, name):
    r = subprocess.run(['node', '--test', str(folder / 'tests' / name)],
                       capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stdout[-6000:] + r.stderr[-2000:]
    assert '# pass 0' not in r.stdout, r.stdout
