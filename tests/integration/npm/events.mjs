// One `eventsource` client: events out on stdout, a JSON object a line; ends with stdin.
//
// node events.mjs URL

import { EventSource } from 'eventsource';

const source = new EventSource(process.argv[2]);
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

source.onopen = () => tell('open');
source.onerror = error => tell('error', { code: error.code ?? null, state: source.readyState });
for (const type of ['welcome', 'message', 'gap', 'bye']) {
  source.addEventListener(type, event =>
    tell(type, { id: event.lastEventId, data: JSON.parse(event.data) }));
}
process.stdin.on('end', () => process.exit()).resume();
