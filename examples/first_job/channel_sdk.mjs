// SPDX-License-Identifier: Apache-2.0
// The Jobs API of one thing over the npm package "aws-iot-device-sdk-v2": its Jobs client for MQTT 5 (v2) or, on an
// MQTT 3.1.1 connection, its first one (v1), both with mutual TLS.
import { randomUUID } from 'node:crypto';
import sdk from 'aws-iot-device-sdk-v2';

const { iot, iotjobs, mqtt, mqtt5 } = sdk;

export function openChannel(options) {
  return options.library === 'sdk-v2' ? openMqtt5(options) : openMqtt311(options);
}

async function openMqtt5({ thing, host, port, cert, key, ca, onNext, onConnect }) {
  const client = new mqtt5.Mqtt5Client(iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromPath(host, cert, key)
    .withCertificateAuthorityFromPath(undefined, ca).withPort(port).withMinReconnectDelayMs(200).withMaxReconnectDelayMs(1000)
    .withSessionBehavior(mqtt5.ClientSessionBehavior.RejoinPostSuccess)
    .withConnectProperties({ clientId: thing, keepAliveIntervalSeconds: 30, sessionExpiryIntervalSeconds: 600 }).build());
  const jobs = iotjobs.IotJobsClientv2.newFromMqtt5(client, {
    maxRequestResponseSubscriptions: 4, maxStreamingSubscriptions: 2, operationTimeoutInSeconds: 5,
  });
  client.on('connectionFailure', (event) => console.log(`${thing}: ${event.error.error_name ?? event.error}`));
  client.on('connectionSuccess', onConnect);
  const connected = new Promise((done) => client.once('connectionSuccess', done));
  client.start();
  await connected;
  const stream = jobs.createNextJobExecutionChangedStream({ thingName: thing });
  stream.on('incomingPublish', (event) => onNext(event.message.execution));
  stream.open();
  return {
    startNext: async (statusDetails) =>
      (await jobs.startNextPendingJobExecution({ thingName: thing, statusDetails, clientToken: randomUUID() })).execution,
    update: (jobId, body) =>
      jobs.updateJobExecution({ thingName: thing, jobId, ...body, clientToken: randomUUID() }).catch(unwrap),
    close: async () => {
      stream.close();
      jobs.close();
      const stopped = new Promise((done) => client.once('stopped', done));
      client.stop();
      await stopped;
      client.close();
    },
  };
}

// The v2 client wraps the server's rejection.
function unwrap(error) {
  const rejected = error.modeledError ?? error;
  throw Object.assign(new Error(rejected.message ?? String(error)), rejected);
}

async function openMqtt311({ thing, host, port, cert, key, ca, onNext, onConnect }) {
  const config = iot.AwsIotMqttConnectionConfigBuilder.new_mtls_builder_from_path(cert, key)
    .with_certificate_authority_from_path(undefined, ca).with_endpoint(host).with_port(port).with_client_id(thing)
    .with_clean_session(false).with_keep_alive_seconds(30).with_reconnect_min_sec(1).with_reconnect_max_sec(2).build();
  const connection = new mqtt.MqttClient().new_connection(config);
  connection.on('resume', onConnect);
  connection.on('interrupt', (error) => console.log(`${thing}: ${error.error_name ?? error}`));
  connection.on('error', () => {});
  await connection.connect();
  const jobs = new iotjobs.IotJobsClient(connection);
  const qos = mqtt.QoS.AtLeastOnce;
  const waiting = new Map();
  const settle = (how) => (error, response) => {
    const request = waiting.get(response?.clientToken);
    if (!request) return;
    waiting.delete(response.clientToken);
    clearTimeout(request.timer);
    request[how](how === 'resolve' ? response : Object.assign(new Error(response.message), response));
  };
  const call = (publish, body) => new Promise((resolve, reject) => {
    const clientToken = randomUUID();
    const timer = setTimeout(() => { waiting.delete(clientToken); reject(new Error('timeout')); }, 5000);
    waiting.set(clientToken, { resolve, reject, timer });
    publish({ thingName: thing, ...body, clientToken }).catch(reject);
  });
  const name = { thingName: thing };
  await jobs.subscribeToNextJobExecutionChangedEvents(name, qos, (error, event) => onNext(event?.execution));
  await jobs.subscribeToStartNextPendingJobExecutionAccepted(name, qos, settle('resolve'));
  await jobs.subscribeToStartNextPendingJobExecutionRejected(name, qos, settle('reject'));
  const known = new Set();
  onConnect();
  return {
    startNext: async (statusDetails) =>
      (await call((r) => jobs.publishStartNextPendingJobExecution(r, qos), { statusDetails })).execution,
    update: async (jobId, body) => {
      if (!known.has(jobId)) {
        await jobs.subscribeToUpdateJobExecutionAccepted({ ...name, jobId }, qos, settle('resolve'));
        await jobs.subscribeToUpdateJobExecutionRejected({ ...name, jobId }, qos, settle('reject'));
        known.add(jobId);
      }
      return call((r) => jobs.publishUpdateJobExecution(r, qos), { jobId, ...body });
    },
    close: () => connection.disconnect(),
  };
}
