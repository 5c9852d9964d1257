"""axe-core, as tests/browser/package-lock.json pins it, and what it says of a
page that Chromium shows."""
import fcntl
import os
import shutil
import subprocess

from ctl import BUILD

HERE = os.path.dirname(os.path.abspath(__file__))
# target-size (WCAG 2.2) runs only when it is named
TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',
        'best-practice']

RUN = '''
const done = arguments[arguments.length - 1];
axe.run(document, {runOnly: arguments[0]}).then((r) => done(
  r.violations.map((v) => `${v.id} (${v.impact}): ${v.help}\\n` +
    v.nodes.slice(0, 5).map((n) => `    ${n.target}  ${n.html.slice(0, 200)}\\n` +
      `    ${(n.failureSummary || '').replace(/\\n/g, ' ')}`).join('\\n'))),
  (e) => done([String(e)]));
'''


def script():
    """The text of axe.min.js; installed once per build folder."""
    folder = os.path.join(BUILD, 'browser-modules')
    os.makedirs(folder, exist_ok=True)
    lock = os.path.join(HERE, 'package-lock.json')
    path = os.path.join(folder, 'node_modules', 'axe-core', 'axe.min.js')
    have = os.path.join(folder, 'package-lock.json')
    with open(os.path.join(folder, 'lock'), 'w', encoding='ascii') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        if not (os.path.exists(path) and os.path.exists(have) and
                open(have, 'rb').read() == open(lock, 'rb').read()):
            for name in ('package.json', 'package-lock.json'):
                shutil.copyfile(os.path.join(HERE, name),
                                os.path.join(folder, name))
            subprocess.run(
                ['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund',
                 '--prefer-offline', '--loglevel=error'], cwd=folder,
                check=True, timeout=300)
    with open(path, encoding='utf-8') as f:
        return f.read()


def violations(driver):
    """One text per rule that the page breaks."""
    if not driver.execute_script('return typeof axe === "object"'):
        driver.execute_script(script())
    return driver.execute_async_script(RUN, TAGS)
