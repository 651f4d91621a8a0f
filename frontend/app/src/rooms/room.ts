// The text chat rooms: one socket to the lobby or to a room, that comes back when it is lost.

import { socketUrl } from '../server.js';
import { recall, remember, Store } from '../store.js';

export interface Line {
  key: string;
  kind: 'said' | 'roomEntered' | 'roomLeft' | 'roomLost' | 'roomBack';
  name: string;
  text: string;
  mine: boolean;
  /** Somebody else who has one's name. */
  namesake: boolean;
  at: number;
}

export interface Place {
  /** Without one it is the lobby. */
  room?: string;
  name: string;
  token?: string | undefined;
}

interface RoomState {
  status: 'out' | 'coming' | 'in';
  place?: Place;
  lines: Line[];
  /** The code of what ended it. */
  refused?: string | undefined;
}

const MOST_LINES = 500;
/** A room that refuses somebody does so right after it let them in. */
const SETTLE_MS = 300;
const LONGEST_WAIT_MS = 10_000;
/** Close codes after which it makes no sense to come back, and their codes. */
const FINAL: Record<number, string> = {
  1003: 'unsupported_media_type',
  1007: 'bad_utf8',
  1008: 'too_many_fragments',
  1009: 'frame_too_large',
  4401: 'unauthorized',
  4403: 'forbidden',
  4440: 'token_expired',
};

/** Who speaks stands before what is said: put there by the server in a room, by this page in the lobby. */
export function parse(text: string): { name: string; text: string } {
  const at = text.indexOf(': ');
  return at < 0 ? { name: '', text } : { name: text.slice(0, at), text: text.slice(at + 2) };
}

export const channelOf = ({ room }: Place): string =>
  room === undefined ? 'lobby' : `room:${room}`;

export class Room extends Store<RoomState> {
  #socket: WebSocket | undefined;
  #timer: number | undefined;
  #attempts = 0;
  #keys = 0;
  /** Said in the lobby, and not heard back yet: whoever else has the name, did not say these. */
  #unheard: string[] = [];

  constructor() {
    super({ status: 'out', lines: [] });
  }

  enter(place: Place): void {
    this.#drop();
    this.#attempts = 0;
    this.#unheard = [];
    remember('sessionStorage', 'room', JSON.stringify({ ...place, token: undefined }));
    this.set({ place, lines: [], refused: undefined });
    this.#open(place, 'roomEntered');
  }

  say(text: string): void {
    const { place, status } = this.snapshot;
    if (!place || status !== 'in') return;
    const inLobby = place.room === undefined;
    const line = inLobby ? `${place.name}: ${text}` : text;
    this.#socket!.send(line);
    if (inLobby) this.#unheard.push(line);
    // The lobby says it to us as well, a room only to the others.
    if (!inLobby && text !== '/exit') this.#add('said', place.name, text, true);
  }

  leave(): void {
    if (this.snapshot.status === 'in') this.#add('roomLeft');
    this.#drop();
    remember('sessionStorage', 'room', '');
    this.set({ status: 'out' });
  }

  /** Where one was before the page was loaded anew. */
  comeBack(token: string | undefined): void {
    try {
      const { room, name } = JSON.parse(recall('sessionStorage', 'room') || '{}') as Partial<Place>;
      if (name !== undefined) this.enter({ ...(room !== undefined && { room }), name, token });
    } catch {
      // Nowhere.
    }
  }

  #drop(): void {
    window.clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  #open(place: Place, word: 'roomEntered' | 'roomBack'): void {
    this.set({ status: 'coming' });
    const { room, name, token } = place;
    const query = new URLSearchParams({ name });
    const path = room === undefined ? '/ws' : `/rooms/${encodeURIComponent(room)}?${query}`;
    const socket = new WebSocket(
      socketUrl(path),
      token === undefined ? [] : ['pushwire.v1.text', `bearer.${token}`],
    );
    this.#socket = socket;
    const mine = (f: () => void) => socket === this.#socket && f();
    const settle = () =>
      mine(() => {
        if (this.snapshot.status === 'in') return;
        this.#attempts = 0;
        this.set({ status: 'in' });
        this.#add(word);
      });
    socket.onopen = () => mine(() => (this.#timer = window.setTimeout(settle, SETTLE_MS)));
    socket.onmessage = ({ data }) =>
      mine(() => {
        settle();
        const line = String(data);
        const said = parse(line);
        const at = room === undefined ? this.#unheard.indexOf(line) : -1;
        if (at >= 0) this.#unheard.splice(at, 1);
        this.#add('said', said.name, said.text, at >= 0, at < 0 && said.name === name);
      });
    socket.onclose = ({ code }) => mine(() => this.#onClose(place, code, word));
  }

  #onClose(place: Place, code: number, word: 'roomEntered' | 'roomBack'): void {
    window.clearTimeout(this.#timer);
    this.#unheard = [];
    const wasIn = this.snapshot.status === 'in';
    const refused = FINAL[code];
    if (refused !== undefined || code === 1000) {
      this.#socket = undefined;
      if (wasIn) this.#add('roomLeft');
      remember('sessionStorage', 'room', '');
      this.set({ status: 'out', refused });
      return;
    }
    if (wasIn) this.#add('roomLost');
    this.set({ status: 'coming' });
    const wait = Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.#attempts++);
    const again = wasIn ? 'roomBack' : word;
    this.#timer = window.setTimeout(
      () => this.#open(place, again),
      wait * (0.5 + Math.random() / 2),
    );
  }

  #add(kind: Line['kind'], name = '', text = '', mine = false, namesake = false): void {
    const key = String(++this.#keys);
    const line = { key, kind, name, text, mine, namesake, at: Date.now() };
    this.set({ lines: [...this.snapshot.lines, line].slice(-MOST_LINES) });
  }
}
