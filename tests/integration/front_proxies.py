"""HAProxy and nginx in front of relaycam-console, as people set them up, with
one connection to it that all clients share."""
import os
import re
import socket
import subprocess

from storage_env import free_port, wait_for

HAPROXY = """
global
    stats socket {dir}/haproxy.sock mode 600
defaults
    mode http
    timeout connect 20s
    timeout client 3s
    timeout http-request 3s
    timeout server 20s
    retries 0
frontend front
    bind 127.0.0.1:{port}
    default_backend console
backend console
    http-reuse always
    server one 127.0.0.1:{console} ssl verify required ca-file {cert} \
sni str(localhost) verifyhost localhost maxconn 1
"""

NGINX = """
{user}
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/nginx.error.log;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    log_format counted '$status $upstream_status';
    access_log {dir}/nginx.access.log counted;
    client_header_timeout 3s;
    client_body_timeout 3s;
    keepalive_timeout 3s;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    upstream console {{
        server 127.0.0.1:{console};
        keepalive 1;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass https://console;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
            proxy_ssl_name localhost;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {cert};
            proxy_next_upstream off;
        }}
    }}
}}
"""


class Front:
    """A program with a configuration file, between its clients and a
    console."""
    text = None

    def __init__(self, console, folder):
        self.dir = str(folder)
        self.port = free_port()
        self.conf = os.path.join(self.dir, 'front.conf')
        with open(self.conf, 'w', encoding='utf-8') as f:
            f.write(self.text.format(
                dir=self.dir, port=self.port, console=console.port,
                cert=console.cert,
                user='user root;' if os.getuid() == 0 else ''))
        with open(os.path.join(self.dir, 'front.log'), 'wb') as log:
            self.process = subprocess.Popen(
                self.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for('the proxy', self.answers, 30)

    def answers(self):
        with open(os.path.join(self.dir, 'front.log'), 'rb') as log:
            assert self.process.poll() is None, log.read()
        try:
            socket.create_connection(('127.0.0.1', self.port), 5).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()


class Haproxy(Front):
    text = HAPROXY

    def argv(self):
        return ['haproxy', '-db', '-f', self.conf]

    def passed_on(self):
        """Requests that the console answered, as this side counts them."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(self.dir, 'haproxy.sock'))
            s.sendall(b'show stat\n')
            text = b''
            while part := s.recv(65536):
                text += part
        head, *rows = text.decode().lstrip('# ').splitlines()
        row = dict(zip(head.split(','), next(
            r for r in rows if r.startswith('console,one,')).split(',')))
        return sum(int(row[f'hrsp_{n}xx']) for n in (2, 3, 4, 5))


class Nginx(Front):
    text = NGINX

    def argv(self):
        return ['/usr/sbin/nginx', '-p', self.dir, '-c', self.conf]

    def passed_on(self):
        with open(os.path.join(self.dir, 'nginx.access.log'),
                  encoding='utf-8') as f:
            lines = f.read().splitlines()
        return sum(re.fullmatch(r'\d+ \d+', line) is not None
                   for line in lines)
