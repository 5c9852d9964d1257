"""What lies in a spool, docs/spool.md: files of sessions in folders of their
names, those of an older version beside the folders."""
import os


def paths(spool, suffix=''):
    """Of its files and of folders made of captures; neither hidden ones nor
    the folders of sessions."""
    found = []
    for entry in os.scandir(spool):
        inside = [entry.path] if '.' in entry.name or not entry.is_dir() else [
            os.path.join(entry.path, name) for name in listing(entry.path)]
        found += [p for p in inside
                  if not os.path.basename(p).startswith('.') and
                  p.endswith(suffix)]
    return sorted(found)


def listing(folder):
    """As os.listdir; a folder that is gone is empty."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def names(spool, suffix=''):
    return [os.path.basename(p) for p in paths(spool, suffix)]
