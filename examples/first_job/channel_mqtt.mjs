// SPDX-License-Identifier: Apache-2.0
// The Jobs API of one thing over the npm package "mqtt": topics and JSON as the AWS developer guide describes them.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import mqtt from 'mqtt';

export async function openChannel({ thing, host, port, cert, key, ca, onNext, onConnect }) {
  const prefix = `$aws/things/${thing}/jobs/`;
  const waiting = new Map();
  const client = mqtt.connect({
    protocol: 'mqtts', host, port, clientId: thing, clean: false, protocolVersion: 4, reconnectPeriod: 500,
    connectTimeout: 5000, cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(ca),
  });
  let closing = false;
  client.on('error', (error) => { if (!closing) console.log(`${thing}: ${error.message}`); });
  client.on('message', (topic, payload) => {
    const message = JSON.parse(payload.toString());
    if (topic === prefix + 'notify-next') return onNext(message.execution);
    const request = waiting.get(message.clientToken);
    if (!request) return;
    waiting.delete(message.clientToken);
    if (topic.endsWith('/accepted')) request.resolve(message);
    else request.reject(Object.assign(new Error(message.message), message));
  });
  client.on('connect', () => {
    client.subscribe([prefix + 'notify-next', prefix + 'start-next/+', prefix + '+/update/+'], { qos: 1 }, (error, granted) => {
      if (error || granted.some((g) => g.qos > 1)) console.log(`${thing}: subscribe refused`);
      else onConnect();
    });
  });

  function call(topic, body) {
    const clientToken = randomUUID();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => { waiting.delete(clientToken); reject(new Error('timeout')); }, 5000);
      const settle = (f) => (value) => { clearTimeout(timer); f(value); };
      waiting.set(clientToken, { resolve: settle(resolve), reject: settle(reject) });
      client.publish(prefix + topic, JSON.stringify({ ...body, clientToken }), { qos: 1 });
    });
  }

  return {
    startNext: async (statusDetails) => (await call('start-next', { statusDetails })).execution,
    update: (jobId, body) => call(`${jobId}/update`, body),
    close: () => { closing = true; return new Promise((done) => client.end(false, {}, done)); },
  };
}
