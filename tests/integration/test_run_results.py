"""What tests/run counts after one or two runs of pytest."""
import os
import subprocess
import sys

from ctl import ROOT

PROGRAM = os.path.join(ROOT, 'tests', 'test_results.py')


def case(name, inner='', file='tests/test_a.py'):
    return f'<testcase file="{file}" classname="a" name="{name}">{inner}' \
        '</testcase>'


def write(path, *cases):
    path.write_text('<testsuites><testsuite>' + ''.join(cases) +
                    '</testsuite></testsuites>')
    return str(path)


def run(*args):
    r = subprocess.run([sys.executable, PROGRAM, *args], capture_output=True,
                       text=True)
    assert r.returncode == 0, r.stderr
    return r.stdout.split('\n')[:-1]


def test_one_run(tmp_path):
    first = write(tmp_path / 'a.xml', case('one'), case('two', '<failure/>'),
                  case('three', '<skipped/>'),
                  case('four', file='tests/test_b.py'), case('one', '<error/>'))
    assert run('count', first) == ['1 3']
    assert run('files', first) == ['tests/test_a.py']


def test_second_run_names_what_is_unstable(tmp_path):
    first = write(tmp_path / 'a.xml', case('one'), case('two', '<failure/>'),
                  case('three', '<error/>'), case('other', '', 'tests/b.py'))
    second = write(tmp_path / 'b.xml', case('one'), case('two'),
                   case('three', '<failure/>'))
    assert run('count', first, second) == ['3 1', 'tests/test_a.py::two']
    second = write(tmp_path / 'b.xml', case('one', '<failure/>'), case('two'),
                   case('three', '<failure/>'))
    assert run('count', first, second) == ['2 2', 'tests/test_a.py::two']


def test_a_second_run_that_broke_proves_nothing(tmp_path):
    first = write(tmp_path / 'a.xml', case('one'), case('two', '<failure/>'))
    second = tmp_path / 'b.xml'
    assert run('count', first, str(second)) == ['1 1']
    second.write_text('<testsuites><testsuite>')
    assert run('count', first, str(second)) == ['1 1']
    # of tests that are missing in it nothing is known
    assert run('count', first, write(second, case('one'))) == ['1 1']


def test_no_run(tmp_path):
    assert run('count', str(tmp_path / 'none.xml')) == ['0 1']
    assert run('count', write(tmp_path / 'a.xml')) == ['0 1']
    assert run('files', str(tmp_path / 'none.xml')) in ([], [''])
