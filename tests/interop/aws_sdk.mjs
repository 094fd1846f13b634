// SPDX-License-Identifier: Apache-2.0
// The AWS IoT device SDK v2: its MQTT 5 client, or in version 4 its MQTT 3.1.1 connection; by mutual TLS, or by
// WebSocket with Signature Version 4. It connects again by itself: not within the time of a scenario.
import sdk from 'aws-iot-device-sdk-v2';

const { auth, iot, mqtt, mqtt5 } = sdk;
const muchLaterS = 120;
// An empty payload comes as a detached buffer, which cannot be read.
const bytes = (payload) => (payload?.byteLength ? Buffer.from(payload) : Buffer.alloc(0));
const defined = (packet) => Object.fromEntries(Object.entries(packet).filter(([, value]) => value !== undefined));

export const makeClient = (options, heard) => (options.version === 5 ? mqtt5Client : mqtt311Client)(options, heard);

function mqtt5Client({ transport, host, port, ca, certificate, key, sign }, { arrived, lost }) {
  let client;
  const Builder = iot.AwsIotMqtt5ClientConfigBuilder;
  return {
    async connect({ id, clean, expiry, will }) {
      const builder = transport === 'tls' ? Builder.newDirectMqttBuilderWithMtlsFromPath(host, certificate, key)
        : Builder.newWebsocketMqttBuilderWithSigv4Auth(host, {
          region: sign.region,
          credentialsProvider: auth.AwsCredentialsProvider.newStatic(sign.accessKey, sign.secretKey, sign.token),
        });
      client = new mqtt5.Mqtt5Client(builder.withCertificateAuthorityFromPath(undefined, ca).withPort(port)
        .withMinReconnectDelayMs(muchLaterS * 1000).withMaxReconnectDelayMs(muchLaterS * 1000)
        .withSessionBehavior(clean ? mqtt5.ClientSessionBehavior.Clean : mqtt5.ClientSessionBehavior.RejoinAlways)
        .withConnectProperties({
          clientId: id, keepAliveIntervalSeconds: 60, ...(expiry && { sessionExpiryIntervalSeconds: expiry }),
          ...(will && { will: { topicName: will.topic, payload: will.payload, qos: 1, retain: false } }),
        }).build());
      client.on('messageReceived', ({ message }) => {
        const { contentType, responseTopic, correlationData, userProperties = [] } = message;
        const user = userProperties.map(({ name, value }) => [name, value]);
        arrived({
          topic: message.topicName, payload: bytes(message.payload), qos: message.qos, retain: message.retain ?? false,
          properties: { contentType, responseTopic, correlationData, user },
        });
      });
      client.on('disconnection', lost);
      client.on('error', () => {});
      return new Promise((resolve, reject) => {
        client.on('connectionSuccess', ({ connack }) => resolve(connack.sessionPresent));
        client.on('connectionFailure', ({ error, connack }) =>
          reject(new Error(`${error} ${connack?.reasonCode ?? ''}`)));
        client.start();
      });
    },
    async subscribe(topicFilter, { qos, noLocal, retainAsPublished, retainHandling }) {
      const { reasonCodes } = await client.subscribe({
        subscriptions: [defined({ topicFilter, qos, noLocal, retainAsPublished, retainHandlingType: retainHandling })],
      });
      return reasonCodes[0];
    },
    unsubscribe: (topicFilter) => client.unsubscribe({ topicFilters: [topicFilter] }),
    async publish({ topic, payload, qos, retain, user, contentType, responseTopic, correlationData }) {
      const userProperties = user?.map(([name, value]) => ({ name, value }));
      const properties = { userProperties, contentType, responseTopic, correlationData };
      const packet = { topicName: topic, payload, qos, retain, ...properties };
      const answer = await client.publish(defined(packet));
      if (answer?.reasonCode >= 0x80) throw new Error(`PUBACK ${answer.reasonCode}`);
    },
    async disconnect() {
      const stopped = new Promise((done) => client.once('stopped', done));
      client.stop({ reasonCode: mqtt5.DisconnectReasonCode.NormalDisconnection });  // without: no DISCONNECT
      await stopped;
      client.close();
    },
  };
}

function mqtt311Client({ transport, host, port, ca, certificate, key, sign }, { arrived, lost }) {
  let connection;
  const Builder = iot.AwsIotMqttConnectionConfigBuilder;
  return {
    async connect({ id, clean, will }) {
      const builder = transport === 'tls' ? Builder.new_mtls_builder_from_path(certificate, key)
        : Builder.new_with_websockets().with_credentials(sign.region, sign.accessKey, sign.secretKey, sign.token);
      builder.with_certificate_authority_from_path(undefined, ca).with_endpoint(host).with_port(port).with_client_id(id)
        .with_clean_session(clean).with_keep_alive_seconds(60)
        .with_reconnect_min_sec(muchLaterS).with_reconnect_max_sec(muchLaterS);
      if (will) builder.with_will(new mqtt.MqttWill(will.topic, mqtt.QoS.AtLeastOnce, will.payload, false));
      connection = new mqtt.MqttClient().new_connection(builder.build());
      connection.on('message', (topic, payload, _dup, qos, retain) =>
        arrived({ topic, payload: bytes(payload), qos, retain }));
      connection.on('interrupt', lost);
      connection.on('error', () => {});
      return connection.connect();
    },
    async subscribe(filter, { qos }) {
      const granted = await connection.subscribe(filter, qos);
      if (granted.error_code) throw new Error(`SUBSCRIBE: error ${granted.error_code}`);
      return granted.qos;
    },
    unsubscribe: (filter) => connection.unsubscribe(filter),
    publish: ({ topic, payload, qos, retain }) => connection.publish(topic, payload, qos, retain),
    disconnect: () => connection.disconnect(),
  };
}
