// Sends numbers to ann by sdk/node, `batch` of them at a time, until stdin ends; tells each as it is
// acknowledged, [number, id, duplicate], a line each.
//
// node sender.mjs MODULE URL BATCH
const [, , module, url, batch] = process.argv;
const { Pushwire } = await import(module);

const push = new Pushwire({ url, sender: 'bob' });
let ended = false;
process.stdin.on('end', () => (ended = true)).resume();

for (let next = 0; !ended; next += Number(batch)) {
  const numbers = [...Array(Number(batch)).keys()].map(n => next + n);
  const sent =
    numbers.length === 1
      ? [await push.send('ann', next)]
      : await push.sendMany(numbers.map(message => ({ receiver: 'ann', message })));
  sent.forEach(({ id, duplicate }, n) => console.log(JSON.stringify([next + n, id, duplicate])));
}
