// Drives Chromium by Playwright for ../chromium.py. Commands are lines of JSON, [page, at, method,
// arguments], answered in order: a method of the page itself, or of the locator `at` in it, or one of
// ours. An answer is {value} or {error}.
import { createInterface } from 'node:readline';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const [, , executablePath, timeout] = process.argv;
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
});
const pages = [];

const ours = {
  /** A page of its own browser profile, or of the one that page `beside` has. */
  async open(_, url, { beside, ...options }) {
    const context = pages[beside]?.page.context() ?? (await browser.newContext(options));
    const page = await context.newPage();
    page.setDefaultTimeout(Number(timeout));
    const seen = { page, complaints: [], hosts: new Set() };
    page.on('console', message => {
      if (['error', 'warning'].includes(message.type())) seen.complaints.push(message.text());
    });
    page.on('pageerror', error => seen.complaints.push(String(error)));
    page.on('request', request => seen.hosts.add(new URL(request.url()).host));
    await page.goto(url);
    return pages.push(seen) - 1;
  },
  complaints: ({ complaints }) => complaints,
  hosts: ({ hosts }) => [...hosts].filter(Boolean),
  press: ({ page }, keys) => page.keyboard.press(keys),
  type: ({ page }, text) => page.keyboard.type(text),
  offline: ({ page }, offline) => page.context().setOffline(offline),
  media: ({ page }, options) => page.emulateMedia(options),
  /** How long the page's thread was busy since it was first asked, in seconds of its cpu. */
  async busy(seen) {
    if (!seen.session) {
      seen.session = await seen.page.context().newCDPSession(seen.page);
      await seen.session.send('Performance.enable', { timeDomain: 'threadTicks' });
    }
    const { metrics } = await seen.session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration').value;
  },
  async axe({ page }) {
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  },
};

async function run([number, at, method, args]) {
  const seen = pages[number];
  if (at !== null) return seen.page.locator(at)[method](...args);
  if (Object.hasOwn(ours, method)) return ours[method](seen, ...args);
  return seen.page[method](...args);
}

const answer = what => process.stdout.write(`${JSON.stringify(what)}\n`);

answer({ value: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  await run(JSON.parse(line)).then(
    // What the page gives is data; what Playwright gives besides (responses, bytes) stays here.
    value => answer({ value: JSON.stringify(value) === undefined ? null : value }),
    error => answer({ error: error.message }),
  );
}
await browser.close();
