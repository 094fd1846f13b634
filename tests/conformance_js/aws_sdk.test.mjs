// SPDX-License-Identifier: Apache-2.0
// The AWS SDK for JavaScript v3, unmodified, against the real server named by AWS_ENDPOINT_URL.
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import * as iotSdk from '@aws-sdk/client-iot';
import * as jobsData from '@aws-sdk/client-iot-jobs-data-plane';
import * as s3Sdk from '@aws-sdk/client-s3';
import { STSClient, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

const endpoint = process.env.AWS_ENDPOINT_URL;
const iot = new iotSdk.IoTClient({ endpoint });
const jobs = new jobsData.IoTJobsDataPlaneClient({ endpoint });
const s3 = new s3Sdk.S3Client({ endpoint, forcePathStyle: true });
const name = (what) => `${what}-${randomUUID().slice(0, 8)}`;

test('caller identity', async () => {
  const sts = new STSClient({ endpoint });
  const { Arn, Account } = await sts.send(new GetCallerIdentityCommand({}));
  assert.equal(Arn, `arn:aws:iam::${Account}:root`);
});

test('things and groups', async () => {
  const thingName = name('thing'), thingGroupName = name('group');
  const made = await iot.send(new iotSdk.CreateThingCommand({ thingName, attributePayload: { attributes: { colour: 'red' } } }));
  assert.ok(made.thingArn.endsWith(`:thing/${thingName}`));
  await iot.send(new iotSdk.CreateThingGroupCommand({ thingGroupName }));
  await iot.send(new iotSdk.AddThingToThingGroupCommand({ thingName, thingGroupName }));
  const members = await iot.send(new iotSdk.ListThingsInThingGroupCommand({ thingGroupName }));
  assert.deepEqual(members.things, [thingName]);
  const described = await iot.send(new iotSdk.DescribeThingCommand({ thingName }));
  assert.deepEqual(described.attributes, { colour: 'red' });
  assert.equal(described.version, 1);
});

test('errors arrive as the modelled classes', async () => {
  await assert.rejects(iot.send(new iotSdk.DescribeThingCommand({ thingName: name('absent') })), (error) => {
    assert.ok(error instanceof iotSdk.ResourceNotFoundException, error.name);
    assert.equal(error.$metadata.httpStatusCode, 404);
    return true;
  });
  await assert.rejects(iot.send(new iotSdk.CreateThingCommand({ thingName: 'not a name!' })), iotSdk.InvalidRequestException);
  await assert.rejects(iot.send(new iotSdk.CreateTopicRuleCommand({ ruleName: 'r', topicRulePayload: { sql: 'x', actions: [] } })),
    (error) => { assert.match(error.message, /CreateTopicRule/); return true; });
});

test('a wrong secret is refused', async () => {
  const stranger = new iotSdk.IoTClient({ endpoint, credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: 'wrong' } });
  await assert.rejects(stranger.send(new iotSdk.ListThingsCommand({})), (error) => {
    assert.equal(error.$metadata.httpStatusCode, 403);
    return true;
  });
});

test('a job walks to its end over the HTTPS data plane', async () => {
  const thingName = name('thing'), jobId = name('job');
  const { thingArn } = await iot.send(new iotSdk.CreateThingCommand({ thingName }));
  await iot.send(new iotSdk.CreateJobCommand({ jobId, targets: [thingArn], document: '{"operation":"reboot"}' }));
  const pending = await jobs.send(new jobsData.GetPendingJobExecutionsCommand({ thingName }));
  assert.equal(pending.queuedJobs[0].jobId, jobId);
  const { execution } = await jobs.send(new jobsData.StartNextPendingJobExecutionCommand({ thingName, statusDetails: { step: 'one' } }));
  assert.equal(execution.status, 'IN_PROGRESS');
  assert.deepEqual(JSON.parse(execution.jobDocument), { operation: 'reboot' });
  assert.equal(execution.versionNumber, 2);
  const described = await jobs.send(new jobsData.DescribeJobExecutionCommand({ thingName, jobId: '$next' }));
  assert.equal(described.execution.jobId, jobId);
  await assert.rejects(
    jobs.send(new jobsData.UpdateJobExecutionCommand({ thingName, jobId, status: 'SUCCEEDED', expectedVersion: 7 })),
    jobsData.InvalidStateTransitionException);
  await jobs.send(new jobsData.UpdateJobExecutionCommand({ thingName, jobId, status: 'SUCCEEDED', expectedVersion: 2 }));
  const { execution: end } = await iot.send(new iotSdk.DescribeJobExecutionCommand({ thingName, jobId }));
  assert.equal(end.status, 'SUCCEEDED');
  assert.ok(end.queuedAt instanceof Date && end.startedAt >= end.queuedAt);
  assert.deepEqual(end.statusDetails.detailsMap, { step: 'one' });
});

test('objects: checksummed, streamed with a trailer, ranges, pre-signed', async () => {
  const Bucket = name('bucket');
  await s3.send(new s3Sdk.CreateBucketCommand({ Bucket }));
  const body = Buffer.alloc(300000, 'muster');
  const put = await s3.send(new s3Sdk.PutObjectCommand({ Bucket, Key: 'plain', Body: body, ChecksumAlgorithm: 'SHA256' }));
  assert.equal(put.ETag, `"${createHash('md5').update(body).digest('hex')}"`);
  await s3.send(new s3Sdk.PutObjectCommand({
    Bucket, Key: 'a folder/strömed +%&', Body: Readable.from([body, body]), ContentLength: 2 * body.length, Metadata: { colour: 'red' },
  }));
  const got = await s3.send(new s3Sdk.GetObjectCommand({ Bucket, Key: 'a folder/strömed +%&' }));
  assert.equal((await got.Body.transformToByteArray()).length, 2 * body.length);
  assert.deepEqual(got.Metadata, { colour: 'red' });
  const part = await s3.send(new s3Sdk.GetObjectCommand({ Bucket, Key: 'plain', Range: 'bytes=6-11' }));
  assert.equal(await part.Body.transformToString(), 'muster');
  assert.equal(part.ContentRange, `bytes 6-11/${body.length}`);
  const url = await getSignedUrl(s3, new s3Sdk.GetObjectCommand({ Bucket, Key: 'a folder/strömed +%&' }), { expiresIn: 60 });
  assert.equal((await fetch(url)).status, 200);
  assert.equal((await fetch(url + '0')).status, 403);
  // By default this SDK signs the CRC32 of the empty body into the URL, which then holds for what is uploaded.
  const strict = await getSignedUrl(s3, new s3Sdk.PutObjectCommand({ Bucket, Key: 'up' }), { expiresIn: 60 });
  assert.equal((await fetch(strict, { method: 'PUT', body: 'by url' })).status, 400);
  const lenient = new s3Sdk.S3Client({ endpoint, forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' });
  const upload = await getSignedUrl(lenient, new s3Sdk.PutObjectCommand({ Bucket, Key: 'up' }), { expiresIn: 60 });
  assert.equal((await fetch(upload, { method: 'PUT', body: 'by url' })).status, 200);
  const listed = await s3.send(new s3Sdk.ListObjectsV2Command({ Bucket, Delimiter: '/' }));
  assert.deepEqual(listed.Contents.map((o) => o.Key), ['plain', 'up']);
  assert.deepEqual(listed.CommonPrefixes.map((p) => p.Prefix), ['a folder/']);
  await assert.rejects(s3.send(new s3Sdk.GetObjectCommand({ Bucket, Key: 'absent' })), s3Sdk.NoSuchKey);
});
