// The WebSocket to the relay. Binary messages are the RFB stream and go to
// noVNC through `channel`; text messages are JSON beside it, docs/browser-viewer.md.

// What noVNC takes in place of a WebSocket. Bytes that come before it listens
// are kept.
class Channel {
  constructor(socket) {
    this.socket = socket;
    this.binaryType = 'arraybuffer';
    this.protocol = '';
    this.readyState = 'open';
    this.onopen = null;
    this.onclose = null;
    this.onerror = null;
    this.early = [];
    this.listener = null;
  }

  get onmessage() {
    return this.listener;
  }

  set onmessage(listener) {
    this.listener = listener;
    for (const data of this.early.splice(0)) listener({ data });
  }

  take(data) {
    if (this.listener) this.listener({ data });
    else this.early.push(data);
  }

  // noVNC goes on using the bytes after the call: WebSocket copies them.
  send(data) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(data);
  }

  // noVNC is done; the connection itself is closed by its owner.
  close() {
    this.ended();
  }

  ended() {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    if (this.onclose) this.onclose({ code: 1000, reason: '', wasClean: true });
  }
}

/*
 * One attempt to connect and the session that comes of it. Events, each with
 * the message as detail: refused, waiting, accepted, status, warning, error,
 * ended (at most once, always last: {code, reason}).
 */
export class Connection extends EventTarget {
  constructor(login) {
    super();
    this.isAccepted = false;
    this.isOver = false;
    this.socket = new WebSocket(`wss://${location.host}/session`);
    this.socket.binaryType = 'arraybuffer';
    this.channel = new Channel(this.socket);
    this.socket.onopen = () => {
      this.isOpen = true;
      this.send({ type: 'login', ...login });
      login = null;
    };
    this.socket.onmessage = (event) => this.onMessage(event.data);
    this.socket.onclose = () => this.onClose();
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN)
      this.socket.send(JSON.stringify(message));
  }

  // The person wants to leave.
  leave() {
    this.send({ type: 'end' });
    this.finish('left', '');
  }

  onMessage(data) {
    if (typeof data !== 'string') {
      this.channel.take(data);
      return;
    }
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return; // not ours
    }
    switch (message.type) {
      case 'accepted':
        this.isAccepted = true;
        this.tell('accepted', message);
        break;
      case 'refused':
        this.isOver = true;
        this.tell('refused', message);
        this.socket.close();
        break;
      case 'ended':
        this.finish(message.code, message.reason);
        break;
      case 'waiting':
      case 'status':
      case 'warning':
      case 'error':
        this.tell(message.type, message);
        break;
      default: // a newer relay may say more
    }
  }

  onClose() {
    let reason = 'The relay closed the connection before it answered.';

    if (this.isAccepted) reason = 'The connection to the relay was lost.';
    else if (!this.isOpen)
      reason = 'The relay cannot be reached, or this page may not connect to it.';
    this.finish('lost', reason);
  }

  finish(code, reason) {
    if (this.isOver) return;
    this.isOver = true;
    this.channel.ended();
    this.tell('ended', { code, reason });
    this.socket.close();
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
