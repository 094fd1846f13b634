// SPDX-License-Identifier: Apache-2.0
// Connections of the AWS IoT device SDK v2 for JavaScript, for its service clients: MQTT 3.1.1 and 5, by mutual TLS and
// by WebSocket with Signature Version 4; and how long to wait for what must come.
import { setTimeout as pause } from 'node:timers/promises';
import sdk from 'aws-iot-device-sdk-v2';

const { auth, iot, mqtt, mqtt5 } = sdk;
const patienceMs = 10_000;

export function patiently(promise, what) {
  const limit = new AbortController();
  const late = pause(patienceMs, null, { signal: limit.signal }).then(() => { throw new Error(what); }, () => {});
  return Promise.race([promise, late]).finally(() => limit.abort());
}

// Messages of one kind, to be taken in order.
export class Inbox {
  items = [];
  waiting = [];
  put = (item) => (this.waiting.length ? this.waiting.shift()(item) : this.items.push(item));
  take = (what) => patiently(new Promise((resolve) => {
    if (this.items.length) resolve(this.items.shift()); else this.waiting.push(resolve);
  }), `no ${what} came`);
}

// ---- connections
async function openMqtt311({ transport, thing, host, port, ca, certificate, key, sign }) {
  const Builder = iot.AwsIotMqttConnectionConfigBuilder;
  const builder = transport === 'tls' ? Builder.new_mtls_builder_from_path(certificate, key)
    : Builder.new_with_websockets().with_credentials(sign.region, sign.accessKey, sign.secretKey, sign.token);
  builder.with_certificate_authority_from_path(undefined, ca).with_endpoint(host).with_port(port).with_client_id(thing)
    .with_clean_session(true).with_keep_alive_seconds(60);
  const connection = new mqtt.MqttClient().new_connection(builder.build());
  connection.on('error', () => {});
  await connection.connect();
  return { connection, close: () => connection.disconnect() };
}

async function openMqtt5({ transport, thing, host, port, ca, certificate, key, sign }) {
  const Builder = iot.AwsIotMqtt5ClientConfigBuilder;
  const builder = transport === 'tls' ? Builder.newDirectMqttBuilderWithMtlsFromPath(host, certificate, key)
    : Builder.newWebsocketMqttBuilderWithSigv4Auth(host, {
      region: sign.region,
      credentialsProvider: auth.AwsCredentialsProvider.newStatic(sign.accessKey, sign.secretKey, sign.token),
    });
  const client = new mqtt5.Mqtt5Client(builder.withCertificateAuthorityFromPath(undefined, ca).withPort(port)
    .withConnectProperties({ clientId: thing, keepAliveIntervalSeconds: 60 }).build());
  client.on('error', () => {});
  await new Promise((resolve, reject) => {
    client.on('connectionSuccess', resolve);
    client.on('connectionFailure', ({ error }) => reject(new Error(`CONNECT: ${error}`)));
    client.start();
  });
  const close = async () => {
    const stopped = new Promise((done) => client.once('stopped', done));
    client.stop();
    await stopped;
    client.close();
  };
  return { client, close };
}

// The client id is the thing's name. {connection} or {client}, by options.version, and close().
export const open = (options) =>
  patiently((options.version === 5 ? openMqtt5 : openMqtt311)(options), 'no answer to CONNECT');
