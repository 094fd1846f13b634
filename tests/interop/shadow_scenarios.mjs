// SPDX-License-Identifier: Apache-2.0
// The Device Shadow clients of the AWS IoT device SDK v2: shadow_scenarios.mjs '{"style":"v1","transport":"tls",...}'.
// Prints "ok SCENARIO" or "FAIL SCENARIO: reason" a line. Scenarios run one after the other, because each goes on with
// what the one before has left; all of them with the classic shadow of options.thing, then with a named one.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import sdk from 'aws-iot-device-sdk-v2';
import { Inbox, open, patiently } from './sdk_connections.mjs';

const { iotshadow, mqtt } = sdk;
const options = JSON.parse(process.argv[2]);
const { thing, style, version } = options;
const qos = mqtt.QoS.AtLeastOnce;
const nothingAfterMs = 300;

// ---- one face for both generations of clients: request(body) -> response, or an Error that has the members of the
// rejection; heard.delta and heard.documents, what others are told.
async function openV1(opened, heard, shadowName) {
  const client = version === 5 ? iotshadow.IotShadowClient.newFromMqtt5Client(opened.client)
    : new iotshadow.IotShadowClient(opened.connection);
  const kind = shadowName ? 'NamedShadow' : 'Shadow';
  const name = { thingName: thing, ...(shadowName ? { shadowName } : {}) };
  const waiting = new Map();
  const answered = (end) => (error, response) => {
    const request = waiting.get(response?.clientToken);
    assert.ok(request, `an answer without a question: ${error ?? JSON.stringify(response)}`);
    waiting.delete(response.clientToken);
    request[end](end === 'resolve' ? response : Object.assign(new Error(response.message), response));
  };
  const operation = async (verb) => {
    for (const [end, word] of [['resolve', 'Accepted'], ['reject', 'Rejected']]) {
      const granted = await client[`subscribeTo${verb}${kind}${word}`](name, qos, answered(end));
      assert.ok(!granted?.error_code, `SUBSCRIBE ${verb} ${word}: ${granted?.error_code}`);
    }
    return (body = {}) => patiently(new Promise((resolve, reject) => {
      const clientToken = randomUUID();
      waiting.set(clientToken, { resolve, reject });
      client[`publish${verb}${kind}`]({ ...name, ...body, clientToken }, qos).catch(reject);
    }), 'no reply');
  };
  await client[`subscribeTo${kind}DeltaUpdatedEvents`](name, qos, (_, event) => heard.delta.put(event));
  await client[`subscribeTo${kind}UpdatedEvents`](name, qos, (_, event) => heard.documents.put(event));
  return { update: await operation('Update'), get: await operation('Get'), remove: await operation('Delete'),
    close: async () => {} };
}

async function openV2(opened, heard, shadowName) {
  const limits = { maxRequestResponseSubscriptions: 8, maxStreamingSubscriptions: 2, operationTimeoutInSeconds: 10 };
  const client = version === 5 ? iotshadow.IotShadowClientv2.newFromMqtt5(opened.client, limits)
    : iotshadow.IotShadowClientv2.newFromMqtt311(opened.connection, limits);
  const kind = shadowName ? 'NamedShadow' : 'Shadow';
  const name = { thingName: thing, ...(shadowName ? { shadowName } : {}) };
  const streams = [];
  for (const [make, inbox] of [[`create${kind}DeltaUpdatedStream`, heard.delta],
    [`create${kind}UpdatedStream`, heard.documents]]) {
    const stream = client[make](name);
    stream.on('incomingPublish', ({ message }) => inbox.put(message));
    const ready = new Promise((done) => stream.once('subscriptionStatus', done));
    stream.open();
    await patiently(ready, 'no subscription');
    streams.push(stream);
  }
  const operation = (verb) => (body = {}) => client[`${verb}${kind}`]({ ...name, ...body, clientToken: randomUUID() })
    .catch((error) => { throw Object.assign(new Error(error.message), error.modeledError); });
  return {
    update: operation('update'),
    get: operation('get'),
    remove: operation('delete'),
    close: async () => {
      for (const stream of streams) stream.close();
      client.close();
    },
  };
}

async function rejected(promise, code, message) {
  const error = await promise.then(() => { throw new Error(`accepted instead of ${code}`); }, (why) => why);
  assert.equal(error.code, code, error.message);
  assert.equal(error.message, message);
  return error;
}

// This SDK declares dates and leaves numbers.
const recent = (seconds) =>
  assert.ok(Number.isInteger(seconds) && Math.abs(Date.now() / 1000 - seconds) < 120, `${seconds} are not seconds of now`);

// ---- what a device and its application do
const scenarios = {
  async missing({ shadow, id }) {
    await rejected(shadow.get(), 404, `No shadow exists with name: '${id}'`);
    await rejected(shadow.remove(), 404, `No shadow exists with name: '${id}'`);
  },

  async desired({ shadow, heard }) {
    const told = await shadow.update({ state: { desired: { color: 'red', list: [1, { a: 2 }] } } });
    assert.equal(told.version, 1);
    recent(told.timestamp);
    recent(told.metadata.desired.list[1].a.timestamp);
    const delta = await heard.delta.take('delta');
    assert.deepEqual(delta.state, { color: 'red', list: [1, { a: 2 }] });
    assert.equal(delta.version, 1);
    assert.deepEqual(delta.metadata, told.metadata.desired);
    const { previous, current } = await heard.documents.take('documents');
    assert.deepEqual([previous.version, current.version], [0, 1]);
    assert.deepEqual(current.state, { desired: { color: 'red', list: [1, { a: 2 }] } });
  },

  async reported({ shadow, heard }) {
    await shadow.update({ state: { reported: { color: 'red', list: [1, { a: 2 }], own: true } }, version: 1 });
    assert.equal((await heard.documents.take('documents')).current.version, 2);
    const whole = await shadow.get();
    assert.equal(whole.state.delta, undefined);
    assert.equal(whole.state.reported.own, true);
    assert.equal(whole.version, 2);
    await pause(nothingAfterMs);
    assert.deepEqual(heard.delta.items, [], 'a delta without a difference');
  },

  async rejections({ shadow, heard }) {
    await rejected(shadow.update({ state: { desired: { a: 1 } }, version: 1 }), 409, 'Version conflict');
    await rejected(shadow.update({ state: { desired: { a: 'x'.repeat(9000) } } }), 413,
      'The payload exceeds the maximum size allowed');
    await rejected(shadow.update({ state: { desired: { a: [null] } } }), 400, "State contains an invalid node: 'a'");
    assert.equal((await shadow.get()).version, 2, 'a rejection changed it');
    await pause(nothingAfterMs);
    assert.deepEqual([heard.delta.items, heard.documents.items], [[], []], 'a rejection was told');
  },

  async removal({ shadow, heard }) {
    await shadow.update({ state: { desired: { color: 'blue', list: null } } });
    assert.deepEqual((await heard.delta.take('delta')).state, { color: 'blue' });
    const { previous, current } = await heard.documents.take('documents');
    assert.deepEqual(previous.state.desired, { color: 'red', list: [1, { a: 2 }] });
    assert.deepEqual(current.state.desired, { color: 'blue' });
    assert.deepEqual((await shadow.get()).state.delta, { color: 'blue' });
  },

  async deletion({ shadow, heard, id }) {
    assert.equal((await shadow.remove()).version, 3);
    await rejected(shadow.get(), 404, `No shadow exists with name: '${id}'`);
    assert.equal((await shadow.update({ state: { reported: { a: 1 } } })).version, 4);
    assert.equal((await heard.documents.take('documents')).previous.version, 3);
  },
};

const opened = await open(options);
for (const shadowName of [undefined, 'config']) {
  const heard = { delta: new Inbox(), documents: new Inbox() };
  const shadow = await (style === 'v2' ? openV2 : openV1)(opened, heard, shadowName);
  const id = shadowName ? `${thing}~${shadowName}` : thing;
  for (const [name, play] of Object.entries(scenarios)) {
    const scenario = `${shadowName ? 'named' : 'classic'}_${name}`;
    try {
      await play({ shadow, heard, id });
      console.log(`ok ${scenario}`);
    } catch (error) {
      console.log(`FAIL ${scenario}: ${String(error.stack ?? error).replaceAll('\n', ' | ')}`);
    }
  }
  await shadow.close();
}
await opened.close();
process.exit(0);
