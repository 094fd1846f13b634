// SPDX-License-Identifier: Apache-2.0
// The scenarios of scenarios.cc for a JavaScript library: scenarios.mjs '{"library":"mqttjs","transport":"tls",...}'.
// Prints "ok SCENARIO" or "FAIL SCENARIO: reason" a line. All run at once, with client ids and topics of their own.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

const options = JSON.parse(process.argv[2]);
const { makeClient } = await import(`./${options.library}.mjs`);
const v5 = options.version === 5;
const patienceMs = 10_000;

function patiently(promise, what) {
  const limit = new AbortController();
  const late = pause(patienceMs, null, { signal: limit.signal }).then(() => { throw new Error(what); }, () => {});
  return Promise.race([promise, late]).finally(() => limit.abort());
}

// What a library's file makes has connect({id, clean, expiry, will}) -> session present, subscribe(filter, {qos, ...})
// -> granted, unsubscribe, publish(message) until acknowledged, disconnect; it calls arrived(message) and lost().
class Client {
  inbox = [];
  waiting = [];
  constructor() {
    this.loss = new Promise((resolve) => { this.lost = resolve; });
    this.arrived = (message) => {
      const next = this.waiting.shift();
      if (next) next(message); else this.inbox.push(message);
    };
    this.library = makeClient(options, this);
  }
  connect = (start) => patiently(this.library.connect(start), 'no answer to CONNECT');
  subscribe = async (filter, qos, how = {}) => {
    const granted = await patiently(this.library.subscribe(filter, { qos, ...how }), 'no answer to SUBSCRIBE');
    assert.equal(granted, qos, `QoS granted for ${filter}`);
  };
  unsubscribe = (filter) => patiently(this.library.unsubscribe(filter), 'no answer to UNSUBSCRIBE');
  publish = (topic, payload, how = {}) =>
    patiently(this.library.publish({ topic, payload: Buffer.from(payload), qos: 1, retain: false, ...how }),
      'no answer to PUBLISH');
  disconnect = () => patiently(this.library.disconnect(), 'DISCONNECT does not end');
  receive = () => patiently(new Promise((resolve) => {
    if (this.inbox.length) resolve(this.inbox.shift()); else this.waiting.push(resolve);
  }), 'no message came');
  awaitLoss = () => patiently(this.loss, 'the connection was not ended');
  async expect(topic, payload, qos = 1, retain = false) {
    const got = await this.receive();
    assert.equal(got.topic, topic);
    const begin = (bytes) => String(bytes).slice(0, 20);
    assert.ok(Buffer.from(payload).equals(got.payload),
      `payload of ${got.payload.length} bytes, ${begin(got.payload)} instead of ${begin(payload)}`);
    assert.equal(got.qos, qos, 'QoS of the message');
    if (retain !== null) assert.equal(got.retain, retain, 'retain of the message');
    return got;
  }
}

class World {
  constructor(scenario) { this.scenario = scenario; }
  id = (name) => `${options.prefix.split('/').pop()}-${this.scenario}-${name}`;
  topic = (name) => `${options.prefix}/${this.scenario}/${name}`;
  client = async (name, { clean = true, present = false } = {}) => {
    const made = new Client();
    const kept = await made.connect({ id: this.id(name), clean, expiry: clean ? 0 : 60 });
    assert.equal(kept, present, `session present of ${name}`);
    return made;
  };
}

const delivers = (qos) => async (world) => {
  const topic = world.topic('t'), [a, b] = [await world.client('a'), await world.client('b')];
  await a.subscribe(topic, qos);
  for (const payload of ['one', '', 'three']) await b.publish(topic, payload, { qos });
  for (const payload of ['one', '', 'three']) await a.expect(topic, payload, qos);
  await b.disconnect();
  await a.disconnect();
};

const lowersQuality = (highest) => async (world) => {
  const a = await world.client('a');
  for (let asked = 0; asked <= highest; ++asked) {
    const topic = world.topic(String(asked));
    await a.subscribe(topic, asked);
    for (let qos = 0; qos <= highest; ++qos) {
      await a.publish(topic, String(qos), { qos });
      await a.expect(topic, String(qos), Math.min(asked, qos));
    }
  }
  await a.disconnect();
};

const carriesLarge = (highest) => async (world) => {
  const topic = world.topic('t'), payload = Buffer.alloc(100 * 1024, 0).map((_, at) => at * 31 + (at >> 8));
  const a = await world.client('a');
  await a.subscribe(topic, highest);
  for (let qos = 0; qos <= highest; ++qos) {
    await a.publish(topic, payload, { qos });
    await a.expect(topic, payload, qos);
  }
  await a.disconnect();
};

const keepsOrder = (qos) => async (world) => {
  const topic = world.topic('t'), [a, b] = [await world.client('a'), await world.client('b')];
  await a.subscribe(topic, qos);
  // Below the receive maximum of 100, which the package "mqtt" does not look at.
  for (let first = 0; first < 150; first += 75)
    await Promise.all(Array.from({ length: 75 }, (_, at) => b.publish(topic, String(first + at), { qos })));
  for (let number = 0; number < 150; ++number) await a.expect(topic, String(number), qos);
  await b.disconnect();
  await a.disconnect();
};

const keepsSession = (qos) => async (world) => {
  const b = await world.client('b');
  let a = await world.client('a', { clean: false });
  await a.subscribe(world.topic('+'), qos);
  await a.disconnect();
  for (const each of ['1', '2', '3']) await b.publish(world.topic(each), each, { qos });
  a = await world.client('a', { clean: false, present: true });
  for (const each of ['1', '2', '3']) await a.expect(world.topic(each), each, qos);
  await b.publish(world.topic('4'), 'live', { qos });
  await a.expect(world.topic('4'), 'live', qos);
  await a.disconnect();
  await (await world.client('a')).disconnect();
  await (await world.client('a', { clean: false })).disconnect();
  await (await world.client('a')).disconnect();
  await b.disconnect();
};

const scenarios = {
  async connect(world) {
    const a = await world.client('a');
    await a.publish(world.topic('t'), 'x');
    await a.disconnect();
  },
  qos0: delivers(0),
  qos1: delivers(1),
  qos2: delivers(2),
  lower_qos: lowersQuality(1),
  lower_qos2: lowersQuality(2),
  async retained(world) {
    const topic = world.topic('kept'), fence = world.topic('fence');
    const [a, b] = [await world.client('a'), await world.client('b')];
    await b.publish(topic, 'old', { retain: true });
    await b.publish(topic, 'kept', { retain: true });
    await a.subscribe(topic, 1);
    await a.expect(topic, 'kept', 1, true);
    await b.publish(topic, 'live', { retain: true });
    await a.expect(topic, 'live');
    await b.publish(topic, '', { retain: true });
    await a.expect(topic, '');
    await a.disconnect();
    const c = await world.client('c');
    await c.subscribe(topic, 1);
    await c.subscribe(fence, 1);
    await b.publish(fence, 'x');
    await c.expect(fence, 'x');
    await c.disconnect();
    await b.disconnect();
  },
  async wildcards(world) {
    const [plus, hash, b] = await Promise.all(['plus', 'hash', 'b'].map((name) => world.client(name)));
    await plus.subscribe(world.topic('w/+/temp'), 1);
    await hash.subscribe(world.topic('w/site/#'), 1);
    for (const name of ['w/site', 'w/a/temp', 'w/a/temp/deep', 'w/temp', 'w/site/temp', 'w//temp', 'w/site/a/b/c',
      'w/sites', 'w/z/temp', 'w/site/z']) await b.publish(world.topic(name), name);
    for (const name of ['w/a/temp', 'w/site/temp', 'w//temp', 'w/z/temp']) await plus.expect(world.topic(name), name);
    for (const name of ['w/site', 'w/site/temp', 'w/site/a/b/c', 'w/site/z'])
      await hash.expect(world.topic(name), name);
    for (const each of [plus, hash, b]) await each.disconnect();
  },
  async unsubscribe(world) {
    const topic = world.topic('off'), fence = world.topic('on'), a = await world.client('a');
    await a.subscribe(topic, 1);
    await a.subscribe(fence, 1);
    await a.unsubscribe(topic);
    await a.publish(topic, 'no');
    await a.publish(fence, 'yes');
    await a.expect(fence, 'yes');
    await a.disconnect();
  },
  large: carriesLarge(1),
  large_qos2: carriesLarge(2),
  burst_qos1: keepsOrder(1),
  burst_qos2: keepsOrder(2),
  session_qos1: keepsSession(1),
  session_qos2: keepsSession(2),
  async will(world) {
    const a = await world.client('a');
    await a.subscribe(world.topic('#'), 1);
    // A process of its own: kill -9 leaves a library no last word.
    const child = spawn(process.execPath, [process.argv[1], JSON.stringify({ ...options, die: true })],
      { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      await patiently(once(child.stdout, 'data'), 'the client with a will did not connect');
    } finally {
      child.kill('SIGKILL');
    }
    await a.expect(world.topic('gone'), 'gone');
    const polite = new Client();
    await polite.connect({
      id: world.id('polite'), clean: true, expiry: 0, will: { topic: world.topic('polite'), payload: 'no' },
    });
    await polite.disconnect();  // takes the will back
    await a.publish(world.topic('after'), 'x');
    await a.expect(world.topic('after'), 'x');
    await a.disconnect();
  },
  async takeover(world) {
    const first = await world.client('twin'), second = await world.client('twin');
    await first.awaitLoss();
    await second.subscribe(world.topic('t'), 1);
    await second.publish(world.topic('t'), 'here');
    await second.expect(world.topic('t'), 'here');
    await second.disconnect();
  },
};

const scenarios5 = {
  async shared(world) {
    const topic = world.topic('t'), fence = world.topic('fence');
    const [one, two, all] = await Promise.all(['one', 'two', 'all'].map((name) => world.client(name)));
    for (const member of [one, two]) await member.subscribe(`$share/${world.id('group')}/${topic}`, 1);
    await all.subscribe(topic, 1);
    const missing = new Set();
    for (let number = 0; number < 20; ++number) {
      await all.publish(topic, String(number));
      await all.expect(topic, String(number));
      missing.add(String(number));
    }
    // A message for each member by another way comes after what it got as a member.
    for (const member of [one, two]) await member.subscribe(fence, 1);
    await all.publish(fence, 'end');
    for (const member of [one, two]) {
      let count = 0;
      for (let got = await member.receive(); got.topic !== fence; got = await member.receive(), ++count)
        assert.ok(missing.delete(String(Buffer.from(got.payload))), 'a message came to two members');
      assert.ok(count > 0, 'a member of two received nothing of 20 messages');
    }
    assert.equal(missing.size, 0, 'messages that reached no member');
    for (const each of [one, two, all]) await each.disconnect();
  },
  async properties(world) {
    const topic = world.topic('t'), a = await world.client('a');
    await a.subscribe(topic, 1);
    const sent = {
      contentType: 'text/plain', responseTopic: world.topic('answer'), correlationData: Buffer.from([0, 255, 32]),
      user: [['colour', 'red'], ['colour', 'blue'], ['ключ', 'значение']],
    };
    await a.publish(topic, 'x', sent);
    const got = await a.expect(topic, 'x');
    assert.deepEqual({ ...got.properties, correlationData: Buffer.from(got.properties.correlationData) }, sent);
    await a.disconnect();
  },
  async options(world) {
    const own = world.topic('own'), kept = world.topic('kept'), fence = world.topic('fence');
    const [a, b] = [await world.client('a'), await world.client('b')];
    await a.subscribe(own, 1, { noLocal: true });
    await a.publish(own, 'mine');
    await b.publish(own, 'theirs');
    await a.expect(own, 'theirs');
    await b.publish(kept, 'kept', { retain: true });
    await a.subscribe(kept, 1, { retainHandling: 2 });  // none at SUBSCRIBE
    await a.subscribe(fence, 1);
    await a.publish(fence, '1');
    await a.expect(fence, '1');
    await a.subscribe(kept, 1, { retainAsPublished: true, retainHandling: 1 });  // not new: none
    await a.publish(fence, '2');
    await a.expect(fence, '2');
    await b.publish(kept, 'again', { retain: true });
    await a.expect(kept, 'again', 1, true);
    await b.publish(kept, '', { retain: true });
    await b.disconnect();
    await a.disconnect();
  },
};

if (options.die) {
  const world = new World('will'), client = new Client();
  await client.connect({
    id: world.id('dying'), clean: true, expiry: 0, will: { topic: world.topic('gone'), payload: 'gone' },
  });
  console.log('connected');
  await pause(60_000);
}
const wanted = Object.entries({ ...scenarios, ...(v5 ? scenarios5 : {}) })
  .filter(([name]) => !options.without?.includes(name) && (!options.only?.length || options.only.includes(name)));
await Promise.all(wanted.map(async ([name, run]) => {
  try {
    await run(new World(name));
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAIL ${name}: ${String(error?.message ?? error).replaceAll('\n', ' ')}`);
  }
}));
process.exit(0);
