#!/usr/bin/env python3
"""Reads pytest's JUnit files for tests/run.

usage: test_results.py files FIRST.xml           the files that have failures
       test_results.py count FIRST.xml [SECOND.xml]

count prints "PASSED FAILED", then a line for each test that failed in the
first run and passed in the second one, which holds whole files of the first.
A test that was skipped proves nothing: it counts as failed. So does a run that
left no readable file. Needs pytest's junit_family=xunit1, which names files.
"""
import sys
import xml.etree.ElementTree as ElementTree


def read(path):
    """{(file, name): did it pass} of a run; None if it cannot be read."""
    try:
        cases = ElementTree.parse(path).getroot().iter('testcase')
    except (OSError, ElementTree.ParseError):
        return None
    results = {}
    for case in cases:
        name = (case.get('file') or case.get('classname') or '',
                case.get('name') or '')
        is_good = all(case.find(tag) is None
                      for tag in ('failure', 'error', 'skipped'))
        # an error after a test's end has an entry of its own
        results[name] = results.get(name, True) and is_good
    return results


def count(first, second):
    """(passed, failed, names that passed in the second run only)."""
    if not first:
        return 0, 1, []
    second = second or {}
    unstable = [n for n, is_good in first.items()
                if not is_good and second.get(n)]
    # what passed alone at first and fails now failed once, too
    failed = [n for n, is_good in first.items()
              if (not is_good and n not in unstable) or
              (is_good and not second.get(n, True))]
    return len(first) - len(failed), len(failed), unstable


def main(command, first, second=None):
    results = read(first)
    if command == 'files':
        print('\n'.join(sorted({n[0] for n, is_good in (results or {}).items()
                                if not is_good and n[0].endswith('.py')})))
        return
    passed, failed, unstable = count(results, second and read(second))
    print(passed, failed)
    for file, name in unstable:
        print(f'{file}::{name}')


if __name__ == '__main__':
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in ('files', 'count'):
        sys.exit(__doc__)
    main(*sys.argv[1:])
