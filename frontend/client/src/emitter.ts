// Who wants to hear of what. A listener that throws is reported as an uncaught error and keeps
// nothing from the others.

export class Emitter<E extends object> {
  #listeners = new Map<keyof E, Set<(event: never) => void>>();

  on<K extends keyof E>(kind: K, f: (event: E[K]) => void): () => void {
    const all = this.#listeners.get(kind) ?? new Set();
    const mine = (event: E[K]) => f(event); // of its own, so that f may be given twice
    this.#listeners.set(kind, all.add(mine));
    return () => void all.delete(mine);
  }

  emit<K extends keyof E>(kind: K, event: E[K]): void {
    for (const f of [...(this.#listeners.get(kind) ?? [])] as ((event: E[K]) => void)[])
      this.call(f, event);
  }

  call<A extends unknown[]>(f: ((...args: A) => void) | undefined, ...args: A): void {
    try {
      f?.(...args);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
