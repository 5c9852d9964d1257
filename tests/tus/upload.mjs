// Sends a capture with tus-js-client, as an agent would: upload.mjs JSON.
// Prints a JSON object a line: what was answered, how far it is, how it ended.
import crypto from 'node:crypto'
import fs from 'node:fs'
import * as tus from 'tus-js-client'

const o = JSON.parse(process.argv[2])
const data = fs.readFileSync(o.file)
const say = (what) => fs.writeSync(1, JSON.stringify(what) + '\n')

// What a request brings is known once it is sent: bytes at the offset of its
// header, as many as a chunk has.
function checksum(request) {
  const at = Number(request.getHeader('Upload-Offset') ?? 0)
  const part = Buffer.from(data.subarray(at, at + (o.chunkSize ?? data.length)))
  if (o.checksum === 'wrong') part[0] ^= 1
  const sum = crypto.createHash(o.algorithm ?? 'sha256').update(part).digest('base64')
  request.setHeader('Upload-Checksum', `${o.algorithm ?? 'sha256'} ${sum}`)
}

const upload = new tus.Upload(data, {
  endpoint: o.url,
  uploadUrl: o.uploadUrl ?? null,
  uploadSize: data.length,
  chunkSize: o.chunkSize ?? Infinity,
  retryDelays: o.retryDelays ?? null,
  metadata: { capture: o.id, ...(o.sealed ? { encryption: 'secretstream' } : {}) },
  headers: o.digest ? { 'Repr-Digest': `sha-256=:${o.digest}:` } : {},
  uploadDataDuringCreation: o.withCreation ?? false,
  storeFingerprintForResuming: false,
  httpStack: new tus.DefaultHttpStack({
    ALPNProtocols: [o.alpn ?? 'relaycam-capture/1'],
    ca: fs.readFileSync(o.ca),
    ...(o.cert ? { cert: fs.readFileSync(o.cert), key: fs.readFileSync(o.key) } : {}),
  }),
  onBeforeRequest(request) {
    if (o.checksum && request.getMethod() === 'PATCH') checksum(request)
  },
  onAfterResponse(request, response) {
    say({
      method: request.getMethod(),
      status: response.getStatus(),
      offset: response.getHeader('Upload-Offset'),
      expires: response.getHeader('Upload-Expires'),
      text: response.getBody(),
    })
  },
  // bytes that were given to the socket
  async onProgress(sent) {
    if (o.terminateAt && sent >= o.terminateAt) {
      await upload.abort(true)
      say({ end: 'terminated' })
      process.exit(0)
    }
  },
  onChunkComplete(size, accepted) {
    say({ accepted })
    if (o.pauseAt && accepted >= o.pauseAt) {
      say({ end: 'paused' })
      upload.abort()
      process.exit(0)
    }
  },
  onError(error) {
    say({ end: 'error', status: error.originalResponse?.getStatus() ?? 0, text: error.message })
    process.exit(1)
  },
  onSuccess() {
    say({ end: 'success', url: upload.url })
    process.exit(0)
  },
})
upload.start()
