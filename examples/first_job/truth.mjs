// SPDX-License-Identifier: Apache-2.0
// The job's executions as @aws-sdk/client-iot lists them: one line of JSON, thing -> status.
import { IoTClient, DescribeJobCommand, paginateListJobExecutionsForJob } from '@aws-sdk/client-iot';

const jobId = process.argv[2];
const client = new IoTClient({ endpoint: process.env.AWS_ENDPOINT_URL });
const { job } = await client.send(new DescribeJobCommand({ jobId }));
const executions = {};
for await (const page of paginateListJobExecutionsForJob({ client, pageSize: 2 }, { jobId })) {
  for (const summary of page.executionSummaries) {
    executions[summary.thingArn.split('/').pop()] = summary.jobExecutionSummary.status;
  }
}
console.log(JSON.stringify({ status: job.status, executions }));
