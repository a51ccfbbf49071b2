// Live events: one stream per browser, whatever the number of tabs.
//
// HTTP/1.1 gives a host about six connections, so one tab (the one that holds a lock) opens the
// stream and tells the others through a channel. An event only names what moved; whoever shows
// it reads it again. After three failures the page asks every ten seconds instead, and goes on
// trying to connect.
import { apiUrl } from '../api/client.ts';

export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'offline';
export interface Status {
  state: LiveState;
  /** When the server was last heard of, in milliseconds. */
  heard: number;
}
export interface Changed {
  topic: string;
  version?: number;
  at?: number;
}

type Message =
  | { kind: 'want'; tab: string; topics: string[] }
  | { kind: 'bye'; tab: string }
  | { kind: 'who' }
  | { kind: 'changed'; event: Changed }
  | { kind: 'resync' }
  | { kind: 'signed_out' }
  | { kind: 'status'; status: Status };

export const POLL_EVERY = 10_000;
export const FAILURES_UNTIL_POLLING = 3;
const CHANNEL = 'tidegate-live';
export const ALWAYS = ['apps', 'audit', 'changes', 'inbox', 'incidents', 'people', 'releases', 'rollouts', 'tokens'];

export interface Handlers {
  changed: (event: Changed) => void;
  resync: () => void;
  signedOut: () => void;
  status: (status: Status) => void;
}

/** Connects this tab; give it the topics it shows with `want`. */
export class Live {
  private readonly tab = Math.random().toString(36).slice(2);
  private readonly channel =
    typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(CHANNEL);
  private readonly wanted = new Map<string, string[]>();
  private source: EventSource | null = null;
  private opened = '';
  private failures = 0;
  private leader = false;
  private closed = false;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private poll: ReturnType<typeof setInterval> | undefined;
  private release: () => void = () => {};
  private now: Status = { state: 'connecting', heard: 0 };

  constructor(private readonly handlers: Handlers) {
    if (this.channel) this.channel.onmessage = (e: MessageEvent<Message>) => this.hear(e.data);
    addEventListener('pagehide', this.leave);
    const lead = () => {
      if (this.closed) return;
      this.leader = true;
      this.say({ kind: 'who' });
      this.open();
    };
    if (navigator.locks && this.channel) {
      void navigator.locks.request(CHANNEL, () => {
        lead();
        return new Promise<void>((resolve) => {
          this.release = resolve;
          if (this.closed) resolve();
        });
      });
    } else {
      lead();
    }
  }

  /** The topics this tab shows now. */
  want(topics: string[]): void {
    this.wanted.set(this.tab, topics);
    if (this.leader) this.open();
    else this.say({ kind: 'want', tab: this.tab, topics });
  }

  close(): void {
    this.closed = true;
    removeEventListener('pagehide', this.leave);
    this.leave();
    this.channel?.close();
  }

  private readonly leave = () => {
    this.say({ kind: 'bye', tab: this.tab });
    this.source?.close();
    this.source = null;
    this.opened = '';
    clearTimeout(this.retry);
    clearInterval(this.poll);
    this.release();
  };

  private say(message: Message): void {
    try {
      this.channel?.postMessage(message);
    } catch {
      // A closed channel has nobody left to tell.
    }
  }

  private hear(message: Message): void {
    switch (message.kind) {
      case 'want':
        this.wanted.set(message.tab, message.topics);
        if (this.leader) {
          this.open();
          this.say({ kind: 'status', status: this.now });
        }
        break;
      case 'bye':
        this.wanted.delete(message.tab);
        break;
      case 'who':
        this.say({ kind: 'want', tab: this.tab, topics: this.wanted.get(this.tab) ?? [] });
        break;
      case 'changed':
        this.handlers.changed(message.event);
        break;
      case 'resync':
        this.handlers.resync();
        break;
      case 'signed_out':
        this.handlers.signedOut();
        break;
      case 'status':
        this.now = message.status;
        this.handlers.status(message.status);
        break;
    }
  }

  private tell(state: LiveState, heard = this.now.heard): void {
    this.now = { state, heard };
    this.handlers.status(this.now);
    this.say({ kind: 'status', status: this.now });
  }

  private open(): void {
    if (this.closed) return;
    const topics = [...new Set([...ALWAYS, ...[...this.wanted.values()].flat()])].sort().join(',');
    if (this.source && this.opened === topics) return;
    this.source?.close();
    this.opened = topics;
    const source = new EventSource(apiUrl(`events?topics=${encodeURIComponent(topics)}`), {
      withCredentials: true,
    });
    this.source = source;
    const alive = () => {
      this.failures = 0;
      clearInterval(this.poll);
      this.poll = undefined;
      this.tell('live', Date.now());
    };
    source.onopen = alive;
    // A new stream tells nothing of what happened before it; one that was only interrupted does,
    // or says `resync` when it cannot.
    source.addEventListener('ready', () => this.resync());
    source.addEventListener('changed', (e) => {
      alive();
      const event = parse((e as MessageEvent<string>).data);
      if (event) {
        this.handlers.changed(event);
        this.say({ kind: 'changed', event });
      }
    });
    source.addEventListener('resync', () => {
      alive();
      this.resync();
    });
    source.addEventListener('signed_out', () => {
      // Connecting again would only be refused.
      source.close();
      this.source = null;
      this.say({ kind: 'signed_out' });
      this.handlers.signedOut();
    });
    source.onerror = () => {
      this.failures += 1;
      this.tell(navigator.onLine === false ? 'offline' : 'reconnecting');
      if (this.failures >= FAILURES_UNTIL_POLLING && !this.poll) {
        this.poll = setInterval(() => this.resync(), POLL_EVERY);
      }
      // The browser tries again by itself unless the answer was no stream at all.
      if (source.readyState === EventSource.CLOSED && this.source === source) {
        this.source = null;
        clearTimeout(this.retry);
        this.retry = setTimeout(() => this.open(), this.failures < FAILURES_UNTIL_POLLING ? 3000 : POLL_EVERY);
      }
    };
  }

  private resync(): void {
    this.handlers.resync();
    this.say({ kind: 'resync' });
  }
}

/** An event's data, or nothing if it is not what we know. */
export function parse(data: string): Changed | null {
  try {
    const value: unknown = JSON.parse(data);
    if (typeof value === 'object' && value !== null && 'topic' in value && typeof value.topic === 'string') {
      return value as Changed;
    }
  } catch {
    // An unknown event is no reason to stop listening.
  }
  return null;
}
