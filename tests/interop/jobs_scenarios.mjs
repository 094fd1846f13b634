// SPDX-License-Identifier: Apache-2.0
// The Jobs clients of the AWS IoT device SDK v2: jobs_scenarios.mjs '{"style":"v1","transport":"tls",...}'. Prints
// "ok SCENARIO" or "FAIL SCENARIO: reason" a line. The jobs were made before: options.jobs, oldest first, for
// options.thing. Scenarios run one after the other, because each goes on with what the one before has left.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import sdk from 'aws-iot-device-sdk-v2';
import { Inbox, open, patiently } from './sdk_connections.mjs';

const { iotjobs, mqtt } = sdk;
const options = JSON.parse(process.argv[2]);
const { thing, style, version, jobs: [first, second, third, fourth] } = options;
const qos = mqtt.QoS.AtLeastOnce;
const nothingAfterMs = 300;

// ---- one face for both generations of clients: request(body) -> response, or an Error that has the members of the
// rejection; heard.next and heard.list, the notifications.
async function openV1(opened, heard) {
  const client = version === 5 ? iotjobs.IotJobsClient.newFromMqtt5Client(opened.client)
    : new iotjobs.IotJobsClient(opened.connection);
  const name = { thingName: thing };
  const waiting = new Map();
  const answered = (end) => (error, response) => {
    const request = waiting.get(response?.clientToken);
    assert.ok(request, `an answer without a question: ${error ?? JSON.stringify(response)}`);
    waiting.delete(response.clientToken);
    request[end](end === 'resolve' ? response : Object.assign(new Error(response.message), response));
  };
  const ask = (publish, body) => patiently(new Promise((resolve, reject) => {
    const clientToken = randomUUID();
    waiting.set(clientToken, { resolve, reject });
    publish.call(client, { ...name, ...body, clientToken }, qos).catch(reject);
  }), 'no reply');
  const subscribed = new Set();
  const subscribe = async (topic, body = {}) => {
    const what = `${topic} ${body.jobId}`;
    if (subscribed.has(what)) return;
    subscribed.add(what);
    for (const [end, word] of [['resolve', 'Accepted'], ['reject', 'Rejected']]) {
      const granted = await client[`subscribeTo${topic}${word}`]({ ...name, ...body }, qos, answered(end));
      assert.ok(!granted?.error_code, `SUBSCRIBE ${what} ${word}: ${granted?.error_code}`);
    }
  };
  const operation = (topic, each) => async (body = {}) => {
    await subscribe(topic, each ? { jobId: body.jobId } : {});
    return ask(client[`publish${topic}`], body);
  };
  await client.subscribeToNextJobExecutionChangedEvents(name, qos, (_, event) => heard.next.put(event));
  await client.subscribeToJobExecutionsChangedEvents(name, qos, (_, event) => heard.list.put(event));
  return {
    startNext: operation('StartNextPendingJobExecution', false),
    getPending: operation('GetPendingJobExecutions', false),
    describe: operation('DescribeJobExecution', true),
    update: operation('UpdateJobExecution', true),
    close: async () => {},
  };
}

async function openV2(opened, heard) {
  const limits = { maxRequestResponseSubscriptions: 8, maxStreamingSubscriptions: 2, operationTimeoutInSeconds: 10 };
  const client = version === 5 ? iotjobs.IotJobsClientv2.newFromMqtt5(opened.client, limits)
    : iotjobs.IotJobsClientv2.newFromMqtt311(opened.connection, limits);
  const streams = [];
  for (const [make, inbox] of [['createNextJobExecutionChangedStream', heard.next],
    ['createJobExecutionsChangedStream', heard.list]]) {
    const stream = client[make]({ thingName: thing });
    stream.on('incomingPublish', ({ message }) => inbox.put(message));
    const ready = new Promise((done) => stream.once('subscriptionStatus', done));
    stream.open();
    await patiently(ready, 'no subscription');
    streams.push(stream);
  }
  const operation = (name) => (body = {}) => client[name]({ thingName: thing, ...body, clientToken: randomUUID() })
    .catch((error) => { throw Object.assign(new Error(error.message), error.modeledError); });
  return {
    startNext: operation('startNextPendingJobExecution'),
    getPending: operation('getPendingJobExecutions'),
    describe: operation('describeJobExecution'),
    update: operation('updateJobExecution'),
    close: async () => {
      for (const stream of streams) stream.close();
      client.close();
    },
  };
}

async function rejected(promise, code) {
  const error = await promise.then(() => { throw new Error(`accepted instead of ${code}`); }, (why) => why);
  assert.equal(error.code, code, error.message);
  assert.ok(error.message && error.timestamp, 'message and timestamp of the rejection');
  recent(error.timestamp);
  return error;
}

// This SDK declares dates and leaves numbers.
const recent = (seconds) =>
  assert.ok(Number.isInteger(seconds) && Math.abs(Date.now() / 1000 - seconds) < 120, `${seconds} are not seconds of now`);
const ids = (list) => list.map(({ jobId }) => jobId);

// ---- what a device does
const scenarios = {
  async pending({ jobs }) {
    const lists = await jobs.getPending();
    assert.deepEqual(ids(lists.queuedJobs), [first, second, third, fourth]);
    assert.deepEqual(lists.inProgressJobs, []);
    assert.equal(lists.queuedJobs[0].executionNumber, 1);
    assert.equal(lists.queuedJobs[0].versionNumber, 1);
    recent(lists.queuedJobs[0].queuedAt);
    recent(lists.timestamp);
  },

  async describe_next({ jobs }) {
    const { execution } = await jobs.describe({ jobId: '$next' });
    assert.equal(execution.jobId, first);
    assert.equal(execution.status, 'QUEUED');
    assert.deepEqual(execution.jobDocument, { operation: 'upgrade', number: 0 });
    if (style === 'v2') return;  // it never sends what is false
    const bare = await jobs.describe({ jobId: '$next', includeJobDocument: false });
    assert.equal(bare.execution.jobId, first);
    assert.equal(bare.execution.jobDocument, undefined);
  },

  async start_next({ jobs, heard }) {
    const details = { step: 'download', 'percent:done': '5' };
    const { execution } = await jobs.startNext({ statusDetails: details, stepTimeoutInMinutes: 10 });
    assert.equal(execution.jobId, first);
    assert.equal(execution.status, 'IN_PROGRESS');
    assert.equal(execution.versionNumber, 2);
    assert.equal(execution.executionNumber, 1);
    assert.deepEqual(execution.statusDetails, details);
    assert.deepEqual(execution.jobDocument, { operation: 'upgrade', number: 0 });
    recent(execution.startedAt);
    const again = await jobs.startNext();
    assert.equal(again.execution.jobId, first);
    assert.equal(again.execution.versionNumber, 2, 'handed out again, not changed');
    assert.deepEqual(again.execution.statusDetails, details);
    await pause(nothingAfterMs);
    assert.deepEqual([heard.next.items, heard.list.items], [[], []], 'the start of the head is silent');
  },

  async progress({ jobs }) {
    const told = await jobs.update({ jobId: first, status: 'IN_PROGRESS', statusDetails: { step: 'install' },
      expectedVersion: 2, executionNumber: 1, includeJobExecutionState: true, includeJobDocument: true });
    assert.deepEqual(told.executionState, { status: 'IN_PROGRESS', statusDetails: { step: 'install' }, versionNumber: 3 });
    assert.deepEqual(told.jobDocument, { operation: 'upgrade', number: 0 });
    const silent = await jobs.update({ jobId: first, status: 'IN_PROGRESS', stepTimeoutInMinutes: -1 });
    assert.equal(silent.executionState, undefined);
    assert.equal(silent.jobDocument, undefined);
    const { execution } = await jobs.describe({ jobId: first, executionNumber: 1 });
    assert.equal(execution.versionNumber, 4);
    assert.deepEqual(execution.statusDetails, { step: 'install' }, 'absent details stay as they were');
  },

  async rejections({ jobs }) {
    const stale = await rejected(
      jobs.update({ jobId: first, status: 'SUCCEEDED', expectedVersion: 2 }), 'VersionMismatch');
    assert.deepEqual(stale.executionState,
      { status: 'IN_PROGRESS', statusDetails: { step: 'install' }, versionNumber: 4 });
    await rejected(jobs.update({ jobId: first, status: 'QUEUED' }), 'InvalidStateTransition');
    await rejected(jobs.update({ jobId: first, status: 'CANCELED' }), 'InvalidStateTransition');
    await rejected(jobs.update({ jobId: first, status: 'DONE' }), 'InvalidRequest');
    await rejected(jobs.update({ jobId: first, status: 'IN_PROGRESS', stepTimeoutInMinutes: 10_081 }), 'InvalidRequest');
    const many = Object.fromEntries([...Array(11).keys()].map((i) => [`k${i}`, 'v']));
    await rejected(jobs.update({ jobId: first, status: 'IN_PROGRESS', statusDetails: many }), 'InvalidRequest');
    await rejected(jobs.update({ jobId: first, status: 'IN_PROGRESS', executionNumber: 7 }), 'ResourceNotFound');
    await rejected(jobs.update({ jobId: 'unheard-of', status: 'IN_PROGRESS' }), 'ResourceNotFound');
    await rejected(jobs.describe({ jobId: 'unheard-of' }), 'ResourceNotFound');
    await rejected(jobs.startNext({ statusDetails: { 'a b': 'c' } }), 'InvalidRequest');
    assert.equal((await jobs.describe({ jobId: first })).execution.versionNumber, 4, 'a rejection changed it');
  },

  async succeeded({ jobs, heard }) {
    await jobs.update({ jobId: first, status: 'SUCCEEDED', expectedVersion: 4, statusDetails: { result: 'fine' } });
    const { jobs: lists } = await heard.list.take('notify');
    assert.deepEqual(ids(lists.QUEUED), [second, third, fourth]);
    const { execution } = await heard.next.take('notify-next');
    assert.equal(execution.jobId, second);
    assert.equal(execution.status, 'QUEUED');
    assert.deepEqual(execution.jobDocument, { operation: 'upgrade', number: 1 });
    await rejected(jobs.describe({ jobId: first }), 'TerminalStateReached');
    const ended = await rejected(jobs.update({ jobId: first, status: 'IN_PROGRESS' }), 'InvalidStateTransition');
    assert.deepEqual(ended.executionState, { status: 'SUCCEEDED', statusDetails: { result: 'fine' }, versionNumber: 5 });
  },

  async failed({ jobs, heard }) {
    assert.equal((await jobs.startNext()).execution.jobId, second);
    await jobs.update({ jobId: second, status: 'FAILED', statusDetails: { reason: 'no space' } });
    assert.deepEqual(ids((await heard.list.take('notify')).jobs.QUEUED), [third, fourth]);
    assert.equal((await heard.next.take('notify-next')).execution.jobId, third);
  },

  async rejected({ jobs, heard }) {
    await jobs.update({ jobId: third, status: 'REJECTED', statusDetails: { reason: 'not mine' } });
    assert.deepEqual(ids((await heard.list.take('notify')).jobs.QUEUED), [fourth]);
    assert.equal((await heard.next.take('notify-next')).execution.jobId, fourth);
  },

  // The fourth has a large document.
  async last({ jobs, heard }) {
    const { execution } = await jobs.startNext();
    assert.equal(execution.jobId, fourth);
    assert.equal(execution.jobDocument.filler.length, 30_000);
    await jobs.update({ jobId: fourth, status: 'SUCCEEDED' });
    assert.deepEqual((await heard.list.take('notify')).jobs, {});
    assert.equal((await heard.next.take('notify-next')).execution, undefined);
    assert.equal((await jobs.startNext()).execution, undefined);
    assert.equal((await jobs.describe({ jobId: '$next' })).execution, undefined);
    const lists = await jobs.getPending();
    assert.deepEqual([lists.queuedJobs, lists.inProgressJobs], [[], []]);
    await pause(nothingAfterMs);
    assert.deepEqual([heard.next.items, heard.list.items], [[], []], 'each notification came once');
  },
};

const opened = await open(options);
const heard = { next: new Inbox(), list: new Inbox() };
const jobs = await (style === 'v2' ? openV2 : openV1)(opened, heard);
for (const [name, play] of Object.entries(scenarios)) {
  try {
    await play({ jobs, heard });
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAIL ${name}: ${String(error.stack ?? error).replaceAll('\n', ' | ')}`);
  }
}
await jobs.close();
await opened.close();
process.exit(0);
