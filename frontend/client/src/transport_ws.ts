import { address, beyond, parse, type Open } from './transport.js';

export const openWebSocket: Open = (attempt, hooks) => {
  const { token } = attempt;
  const channels = beyond(attempt);
  const url = address(attempt, 'ws', channels ? { auth: 'frame' } : {}).replace(/^http/, 'ws');
  const protocols = ['pushwire.v1.json'];
  if (token && !channels) protocols.push(`bearer.${token}`);
  const socket = new (attempt.WebSocket ?? WebSocket)(url, protocols);
  const send = (frame: object) => socket.send(JSON.stringify(frame));
  if (channels) socket.onopen = () => send({ type: 'auth', token, channels });
  socket.onmessage = (event: MessageEvent) => {
    const frame = parse(event.data);
    if (frame) hooks.frame(frame);
  };
  socket.onerror = () => {}; // its close follows
  socket.onclose = (event: CloseEvent) => hooks.end(event.code);
  return {
    send,
    close() {
      // A dead socket may take minutes to report its close.
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
};
