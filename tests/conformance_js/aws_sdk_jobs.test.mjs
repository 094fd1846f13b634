// SPDX-License-Identifier: Apache-2.0
// Jobs by the AWS SDK for JavaScript v3, which knows members that are newer than Debian's boto3 and AWS CLI.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import * as iotSdk from '@aws-sdk/client-iot';

const endpoint = process.env.AWS_ENDPOINT_URL;
const iot = new iotSdk.IoTClient({ endpoint, maxAttempts: 1 });
const name = (what) => `${what}-${randomUUID().slice(0, 8)}`;
const describe = async (jobId, more = {}) => (await iot.send(new iotSdk.DescribeJobCommand({ jobId, ...more }))).job;

async function newGroup() {
  const { thingGroupArn } = await iot.send(new iotSdk.CreateThingGroupCommand({ thingGroupName: name('group') }));
  return thingGroupArn;
}

test('a continuous job in maintenance windows', async () => {
  const jobId = name('job'), target = await newGroup();
  const maintenanceWindows = [{ startTime: 'cron(30 3 * * ? *)', durationInMinutes: 90 }];
  await iot.send(new iotSdk.CreateJobCommand({
    jobId, targets: [target], document: '{}', targetSelection: 'CONTINUOUS', schedulingConfig: { maintenanceWindows } }));
  const job = await describe(jobId, { beforeSubstitution: true });
  assert.deepEqual(job.schedulingConfig, { maintenanceWindows });
  assert.equal(job.scheduledJobRollouts.length, 7);
  for (const { startTime } of job.scheduledJobRollouts) {
    const at = new Date(startTime);
    assert.deepEqual([at.getUTCHours(), at.getUTCMinutes()], [3, 30]);
  }
  const { document } = await iot.send(new iotSdk.GetJobDocumentCommand({ jobId, beforeSubstitution: true }));
  assert.equal(document, '{}');
  await assert.rejects(iot.send(new iotSdk.CreateJobCommand({
    jobId: name('job'), targets: [target], document: '{}', schedulingConfig: { maintenanceWindows } })),
    iotSdk.InvalidRequestException);
});

test('configurations arrive and come back as they were given', async () => {
  const jobId = name('job'), target = await newGroup();
  const given = {
    jobExecutionsRolloutConfig: { maximumPerMinute: 100, exponentialRate: {
      baseRatePerMinute: 10, incrementFactor: 2, rateIncreaseCriteria: { numberOfSucceededThings: 5 } } },
    abortConfig: { criteriaList: [
      { failureType: 'ALL', action: 'CANCEL', thresholdPercentage: 20, minNumberOfExecutedThings: 3 }] },
    jobExecutionsRetryConfig: { criteriaList: [{ failureType: 'ALL', numberOfRetries: 2 }] },
    timeoutConfig: { inProgressTimeoutInMinutes: 30 },
  };
  await iot.send(new iotSdk.CreateJobCommand({
    jobId, targets: [target], document: '{}', targetSelection: 'CONTINUOUS', namespaceId: 'ns', ...given }));
  const job = await describe(jobId);
  for (const [member, value] of Object.entries(given)) assert.deepEqual(job[member], value, member);
  assert.equal(job.namespaceId, 'ns');
  await iot.send(new iotSdk.UpdateJobCommand({ jobId, timeoutConfig: { inProgressTimeoutInMinutes: 31 }, namespaceId: 'ns' }));
  assert.deepEqual((await describe(jobId)).timeoutConfig, { inProgressTimeoutInMinutes: 31 });
  const more = await newGroup();
  await iot.send(new iotSdk.AssociateTargetsWithJobCommand({ jobId, targets: [more], namespaceId: 'ns' }));
  assert.deepEqual((await describe(jobId)).targets, [target, more]);
});

test('what is refused arrives as the modelled classes', async () => {
  const jobId = name('job'), target = await newGroup();
  const create = (members) => iot.send(new iotSdk.CreateJobCommand({ jobId, targets: [target], document: '{}', ...members }));
  await assert.rejects(create({ destinationPackageVersions: ['arn:aws:iot:us-east-1:123456789012:package/p/version/1'] }),
    (error) => error instanceof iotSdk.InvalidRequestException && /destinationPackageVersions/.test(error.message));
  await assert.rejects(create({ targets: [`${target}-not`] }), iotSdk.ResourceNotFoundException);
  await create({ targetSelection: 'CONTINUOUS' });
  await assert.rejects(create({}), (error) =>
    error instanceof iotSdk.ResourceAlreadyExistsException && error.resourceId === jobId);
  await assert.rejects(iot.send(new iotSdk.UpdateJobCommand({ jobId })), iotSdk.InvalidRequestException);
  await assert.rejects(iot.send(new iotSdk.DeleteJobCommand({ jobId })), iotSdk.InvalidStateTransitionException);
  const targets = Array.from({ length: 100 }, (_, i) => `${target}-${i}`);
  await assert.rejects(iot.send(new iotSdk.AssociateTargetsWithJobCommand({ jobId, targets })),
    (error) => error instanceof iotSdk.LimitExceededException && error.$metadata.httpStatusCode === 410);
});
