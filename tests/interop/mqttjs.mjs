// SPDX-License-Identifier: Apache-2.0
// The npm package "mqtt" over TCP, TLS and WebSocket.
import { readFileSync } from 'node:fs';
import mqtt from 'mqtt';
import { presign } from './presign.mjs';

const read = (path) => path && readFileSync(path);

async function address({ transport, host, port, sign }) {
  const scheme = { tcp: 'mqtt', tls: 'mqtts', ws: 'ws' }[transport] ?? 'wss';
  if (sign) return presign(scheme, host, port, sign);
  return `${scheme}://${host}:${port}${scheme.startsWith('ws') ? '/mqtt' : ''}`;
}

export function makeClient(options, { arrived, lost }) {
  let client;
  const v5 = options.version === 5;
  const files = { ca: read(options.ca), cert: read(options.certificate), key: read(options.key) };
  return {
    async connect({ id, clean, expiry, will }) {
      client = mqtt.connect(await address(options), {
        clientId: id, clean, protocolVersion: options.version, reconnectPeriod: 0, connectTimeout: 5000,
        resubscribe: false,
        ...files, ...(will && { will: { ...will, payload: Buffer.from(will.payload), qos: 1, retain: false } }),
        ...(v5 && expiry && { properties: { sessionExpiryInterval: expiry } }),
      });
      client.on('message', (topic, payload, { qos, retain, properties = {} }) => {
        const { contentType, responseTopic, correlationData, userProperties = {} } = properties;
        const user = Object.entries(userProperties)
          .flatMap(([name, values]) => [values].flat().map((value) => [name, value]));
        arrived({ topic, payload, qos, retain, properties: { contentType, responseTopic, correlationData, user } });
      });
      client.on('close', lost);
      return new Promise((resolve, reject) => {
        client.once('connect', ({ sessionPresent }) => resolve(sessionPresent));
        client.on('error', reject);
        client.once('close', () => reject(new Error('closed without CONNACK')));
      });
    },
    async subscribe(filter, { qos, noLocal = false, retainAsPublished = false, retainHandling = 0 }) {
      const how = v5 ? { qos, nl: noLocal, rap: retainAsPublished, rh: retainHandling } : { qos };
      const [granted] = await client.subscribeAsync(filter, how);
      return granted.qos;
    },
    unsubscribe: (filter) => client.unsubscribeAsync(filter),
    publish({ topic, payload, qos, retain, user, contentType, responseTopic, correlationData }) {
      const userProperties = {};
      for (const [name, value] of user ?? []) (userProperties[name] ??= []).push(value);
      const properties = user && { userProperties, contentType, responseTopic, correlationData };
      return client.publishAsync(topic, payload, { qos, retain, ...(properties && { properties }) });
    },
    disconnect: () => client.endAsync(),
  };
}
