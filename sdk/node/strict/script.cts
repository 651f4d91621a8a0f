// … and as a script of CommonJS.
import { Pushwire } from 'pushwire-sender';

export const sent = new Pushwire().publish('news', 'hi', { signal: AbortSignal.timeout(1000) });
