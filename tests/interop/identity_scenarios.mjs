// SPDX-License-Identifier: Apache-2.0
// The identity client of the AWS IoT device SDK v2, fleet provisioning by claim: identity_scenarios.mjs
// '{"style":"v1","version":5,...}' with the files of a claim certificate and the name of its template. Prints
// "ok SCENARIO" or "FAIL SCENARIO: reason" a line. Scenarios run one after the other: each goes on with what the one
// before has left.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import sdk from 'aws-iot-device-sdk-v2';

const { iot, iotidentity, mqtt, mqtt5 } = sdk;
const options = JSON.parse(process.argv[2]);
const { style, version, template: templateName, serial, csr: certificateSigningRequest } = options;
const qos = mqtt.QoS.AtLeastOnce;
const patienceMs = 20_000;

function patiently(promise, what) {
  const limit = new AbortController();
  const late = pause(patienceMs, null, { signal: limit.signal }).then(() => { throw new Error(what); }, () => {});
  return Promise.race([promise, late]).finally(() => limit.abort());
}

async function openMqtt311({ host, port, ca, certificate, key, clientId }) {
  const builder = iot.AwsIotMqttConnectionConfigBuilder.new_mtls_builder_from_path(certificate, key);
  builder.with_certificate_authority_from_path(undefined, ca).with_endpoint(host).with_port(port)
    .with_client_id(clientId).with_clean_session(true);
  const connection = new mqtt.MqttClient().new_connection(builder.build());
  connection.on('error', () => {});
  await connection.connect();
  return { connection, close: () => connection.disconnect() };
}

async function openMqtt5({ host, port, ca, certificate, key, clientId }) {
  const builder = iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromPath(host, certificate, key);
  const client = new mqtt5.Mqtt5Client(builder.withCertificateAuthorityFromPath(undefined, ca).withPort(port)
    .withConnectProperties({ clientId, keepAliveIntervalSeconds: 60 }).build());
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

// ---- one face for both generations: request -> response, or an Error with the members of the rejection
async function openV1({ client: mqtt5Client, connection }) {
  const client = version === 5 ? iotidentity.IotIdentityClient.newFromMqtt5Client(mqtt5Client)
    : new iotidentity.IotIdentityClient(connection);
  const operation = async (name, subscription = {}) => {
    let waiting;
    for (const word of ['Accepted', 'Rejected']) {
      const granted = await client[`subscribeTo${name}${word}`](subscription, qos, (error, response) => {
        assert.ok(waiting, `an answer without a question: ${error ?? JSON.stringify(response)}`);
        if (word === 'Accepted') waiting.resolve(response);
        else waiting.reject(Object.assign(new Error(response.errorMessage), response));
        waiting = undefined;
      });
      assert.ok(!granted?.error_code, `SUBSCRIBE ${name} ${word}: ${granted?.error_code}`);
    }
    return (request = {}) => patiently(new Promise((resolve, reject) => {
      waiting = { resolve, reject };
      client[`publish${name}`](request, qos).catch(reject);
    }), `no reply to ${name}`);
  };
  return {
    keys: await operation('CreateKeysAndCertificate'),
    fromCsr: await operation('CreateCertificateFromCsr'),
    register: await operation('RegisterThing', { templateName }),
    close: async () => {},
  };
}

async function openV2({ client: mqtt5Client, connection }) {
  const limits = { maxRequestResponseSubscriptions: 8, maxStreamingSubscriptions: 1, operationTimeoutInSeconds: 20 };
  const client = version === 5 ? iotidentity.IotIdentityClientv2.newFromMqtt5(mqtt5Client, limits)
    : iotidentity.IotIdentityClientv2.newFromMqtt311(connection, limits);
  const operation = (name) => (request = {}) => client[name](request)
    .catch((error) => { throw Object.assign(new Error(error.message), error.modeledError); });
  return {
    keys: operation('createKeysAndCertificate'),
    fromCsr: operation('createCertificateFromCsr'),
    register: operation('registerThing'),
    close: async () => client.close(),
  };
}

async function rejected(promise, statusCode, errorCode) {
  const error = await promise.then(() => { throw new Error(`accepted instead of ${errorCode}`); }, (why) => why);
  assert.deepEqual([error.statusCode, error.errorCode], [statusCode, errorCode], error.stack);
  assert.ok(error.errorMessage);
}

let keys;
const scenarios = {
  async keys({ identity }) {
    keys = await identity.keys();
    assert.match(keys.certificatePem, /^-----BEGIN CERTIFICATE-----/);
    assert.match(keys.privateKey, /^-----BEGIN RSA PRIVATE KEY-----/);
    assert.match(keys.certificateId, /^[0-9a-f]{64}$/);
    assert.ok(keys.certificateOwnershipToken);
  },

  async rejections({ identity }) {
    const certificateOwnershipToken = keys.certificateOwnershipToken;
    await rejected(identity.register({ templateName, certificateOwnershipToken: 'none', parameters: { Serial: serial } }),
      400, 'InvalidCertificateOwnershipToken');
    await rejected(identity.register({ templateName, certificateOwnershipToken, parameters: {} }), 400, 'InvalidParameters');
    await rejected(identity.fromCsr({ certificateSigningRequest: 'none' }), 400, 'InvalidCertificateSigningRequest');
  },

  async register({ identity }) {
    const { certificateOwnershipToken } = keys;
    const request = { templateName, certificateOwnershipToken, parameters: { Serial: serial } };
    const answer = await identity.register(request);
    assert.equal(answer.thingName, `dev_${serial}`);
    assert.deepEqual(answer.deviceConfiguration, { url: 'https://attic.example' });
    await rejected(identity.register(request), 400, 'InvalidCertificateOwnershipToken');
  },

  async from_csr({ identity }) {
    const answer = await identity.fromCsr({ certificateSigningRequest });
    assert.match(answer.certificatePem, /^-----BEGIN CERTIFICATE-----/);
    const { certificateOwnershipToken } = answer;
    const registered = await identity.register({ templateName, certificateOwnershipToken, parameters: { Serial: `${serial}-csr` } });
    assert.equal(registered.thingName, `dev_${serial}-csr`);
  },
};

const opened = await patiently((version === 5 ? openMqtt5 : openMqtt311)(options), 'no answer to CONNECT');
const identity = await (style === 'v2' ? openV2 : openV1)(opened);
for (const [name, play] of Object.entries(scenarios)) {
  try {
    await play({ identity });
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAIL ${name}: ${String(error.stack ?? error).replaceAll('\n', ' | ')}`);
  }
}
await identity.close();
await opened.close();
process.exit(0);
