"""A recording behind a signed link of relaycam-storage, while it grows.

    storage = links.start(folder, cluster)
    link = links.Link(storage, recording, 0.6)
    link.url, link.end_s    # of what is there
    link.certificate        # of storage, for those who check it
    link.close()
"""
import os

import browsers
import desktop
from storage_env import Storage
from test_growing import Growing


def start(folder, cluster):
    return Storage(folder, cluster).start(
        storage__cors_origin=browsers.ORIGIN)


class Link:
    def __init__(self, env, recording, share):
        with open(recording.path, 'rb') as f:
            self.grown = Growing(env, f.read(), width=desktop.SIZE[0],
                                 height=desktop.SIZE[1])
        self.env = env
        self.url = self.grown.wait_recording()
        self.certificate = f'{env.dir}/tls.crt'
        clusters = self.grown.parts.clusters
        self.grown.grow(max(1, int(len(clusters) * share)))
        self.end_s = clusters[self.grown.n - 1][2] / 1000

    def read(self):
        return self.env.get(self.url).content

    def close(self):
        os.close(self.grown.fd)
