// What an application writes holds under strict settings: as a module …
import { Pushwire, PushwireError, signToken, type Outgoing } from 'pushwire-sender';

const push = new Pushwire({ url: 'http://localhost:8000', key: undefined, sender: 'shop' });
export const delivered: number = (await push.send('alice', { title: 'hi' }, { ttl: 60 })).delivered;
await push.send(['alice', 'bob'] as const, null);
const many: Outgoing[] = [
  { receiver: 'alice', message: 1 },
  { broadcast: true, message: 2, key: 'k' },
  { channel: 'a', event: 'order', args: [1, 'b'], attachments: [], except: '0123456789abcdef' },
];
for (const result of await push.sendMany(many)) {
  const text: string = result instanceof PushwireError ? result.code : result.id;
  console.log(text);
}
// @ts-expect-error: it has to go somewhere
await push.sendMany([{ message: 1 }]);
export const title: string | undefined = (await push.history<{ title: string }>('alice'))
  .messages[0]?.message.title;
export const token: string = signToken('s'.repeat(32), 'alice', { channels: ['news'] });
