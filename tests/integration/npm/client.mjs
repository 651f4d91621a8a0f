// One `ws` client, driven line by line: commands in on stdin, events out on stdout, both JSON.
//
//   {"do":"send","data":"…"}  {"do":"binary","data":"<base64>"}  {"do":"ping","data":"…"}
//   {"do":"pause"}  {"do":"resume"}  {"do":"close","code":1000,"reason":"…"}  {"do":"terminate"}
//
// node client.mjs URL [SUBPROTOCOL…]

import readline from 'node:readline';
import WebSocket from 'ws';

const [url, ...protocols] = process.argv.slice(2);
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

const socket = new WebSocket(url, protocols);
socket.on('open', () => tell('open', { protocol: socket.protocol, extensions: socket.extensions }));
socket.on('message', (data, binary) =>
  tell('message', { binary, data: data.toString(binary ? 'base64' : 'utf8') }));
socket.on('ping', data => tell('ping', { data: data.toString() }));
socket.on('pong', data => tell('pong', { data: data.toString() }));
socket.on('unexpected-response', (request, response) => {
  tell('refused', { status: response.statusCode });
  request.destroy();
});
socket.on('error', error => tell('error', { message: error.message }));
socket.on('close', (code, reason) => {
  tell('close', { code, reason: reason.toString() });
  process.exit();
});

const commands = {
  send: ({ data }) => socket.send(data),
  binary: ({ data }) => socket.send(Buffer.from(data, 'base64')),
  ping: ({ data }) => socket.ping(data),
  pause: () => socket.pause(),
  resume: () => socket.resume(),
  close: ({ code, reason }) => socket.close(code, reason),
  terminate: () => socket.terminate(),
};
readline.createInterface({ input: process.stdin })
  .on('line', line => { const command = JSON.parse(line); commands[command.do](command); })
  .on('close', () => process.exit());
