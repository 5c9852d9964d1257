"""The largest circle of a program's call graph, by the symbols of its objects.

    call_graph.py LIMIT FOLDER...

An object that uses a symbol of another one depends on it (nm). Files that
reach each other form a circle, which can only be understood, linked and tested
as a whole. Fails when the largest one has more than LIMIT files.
"""
import pathlib
import subprocess
import sys


def symbols(path):
    """Defined global symbols and undefined ones of an object."""
    out = subprocess.run(['nm', '-P', path], check=True, capture_output=True,
                         text=True).stdout
    rows = [line.split() for line in out.splitlines()]
    defined = {row[0] for row in rows if row[1] in 'TDBRVCW'
               and not row[0].startswith(('__asan', '__odr', '_GLOBAL'))}
    return defined, {row[0] for row in rows if row[1] == 'U'}


def graph(objects):
    """Names of objects, and for each those that it uses."""
    found = {path.name.removesuffix('.o'): symbols(path) for path in objects}
    home = {s: name for name, (defined, _) in found.items() for s in defined}
    return {name: {home[s] for s in used if s in home} - {name}
            for name, (_, used) in found.items()}


def reachable(edges, start):
    seen, todo = set(), [start]
    while todo:
        for name in edges[todo.pop()] - seen:
            seen.add(name)
            todo.append(name)
    return seen


def circles(edges):
    """Sets of files that reach each other, the largest first."""
    reach = {name: reachable(edges, name) for name in edges}
    found = {frozenset(other for other in reach[name] if name in reach[other])
             for name in edges}
    return sorted(found, key=len, reverse=True)


def main():
    limit = int(sys.argv[1])
    objects = [path for folder in sys.argv[2:]
               for path in sorted(pathlib.Path(folder).glob('*.o'))]
    if not objects:
        sys.exit(f'no objects in {" ".join(sys.argv[2:])}')
    largest = circles(graph(objects))[0]
    print(f'{len(objects)} files, largest circle {len(largest)}: '
          f'{" ".join(sorted(largest))}')
    if len(largest) > limit:
        sys.exit(f'the largest circle may have {limit} files')


main()
