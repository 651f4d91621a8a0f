import { address, parse, type Open } from './transport.js';

export const openWebSocket: Open = (attempt, hooks) => {
  const url = address(attempt, 'ws').replace(/^http/, 'ws');
  const protocols = ['pushwire.v1.json'];
  if (attempt.token) protocols.push(`bearer.${attempt.token}`);
  const socket = new (attempt.WebSocket ?? WebSocket)(url, protocols);
  socket.onmessage = event => {
    const frame = parse(event.data);
    if (frame) hooks.frame(frame);
  };
  socket.onerror = () => {}; // its close follows
  socket.onclose = event => hooks.end(event.code);
  return {
    send: frame => socket.send(JSON.stringify(frame)),
    close() {
      // A dead socket may take minutes to report its close.
      socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
};
