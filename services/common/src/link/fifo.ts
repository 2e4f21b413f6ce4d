// A queue with constant-time ends on one array, whose slots are used again.
// Invariant: the array is at most twice as long as the longest that the queue was since it last ran empty, or COMPACT_AT.

const COMPACT_AT = 1024;

export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;
  #tail = 0;

  get length(): number {
    return this.#tail - this.#head;
  }

  push(item: T): void {
    this.#items[this.#tail++] = item;
  }

  peek(): T | undefined {
    return this.#head === this.#tail ? undefined : this.#items[this.#head];
  }

  shift(): T | undefined {
    if (this.#head === this.#tail) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#tail) this.#rewind();
    else if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#tail) {
      this.#items = this.#items.slice(this.#head, this.#tail);
      this.#tail -= this.#head;
      this.#head = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.#tail = 0;
  }

  /** Empty: begins again at the first slot. */
  #rewind(): void {
    if (this.#items.length > COMPACT_AT) this.#items = [];
    this.#head = 0;
    this.#tail = 0;
  }
}
