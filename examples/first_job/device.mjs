// SPDX-License-Identifier: Apache-2.0
// One device: waits for a job, downloads the firmware by its pre-signed URL, checks its SHA-256, reports progress and the
// end. Answers lost to a server outage are asked again; what the server acknowledged is written to the log file, one JSON
// line each, so that others can check that none of it was forgotten.
import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values: args } = parseArgs({
  options: Object.fromEntries(['thing', 'library', 'host', 'port', 'cert', 'key', 'ca', 'behaviour', 'log', 'pace-ms']
    .map((name) => [name, { type: 'string' }])),
});
const { thing, behaviour } = args;
const paceMs = Number(args['pace-ms'] ?? 300);
const say = (text) => console.log(`${thing} [${args.library}] ${text}`);
const acknowledge = (entry) => appendFileSync(args.log, JSON.stringify({ thing, ...entry }) + '\n');

let wake = () => {};
const { openChannel } = await import(args.library === 'mqtt' ? './channel_mqtt.mjs' : './channel_sdk.mjs');
const channel = await openChannel({
  ...args, port: Number(args.port),
  onNext: (execution) => { if (execution) say(`notify-next: ${execution.jobId} ${execution.status}`); wake(); },
  onConnect: () => { say('connected'); wake(); },
});

// Asks until there is an answer; a server's "no" is an answer, an outage is not.
async function ask(what, call) {
  for (let attempt = 1; ; ++attempt) {
    try {
      return await call();
    } catch (error) {
      if (error.code && String(error.code) !== 'undefined' && error.executionState) throw error;
      if (attempt === 30) throw error;
      say(`${what}: ${error.message ?? error}; asking again`);
      await pause(500);
    }
  }
}

async function report(job, status, statusDetails) {
  try {
    await ask(`update ${status}`, () => channel.update(job.jobId, { status, statusDetails, expectedVersion: job.versionNumber }));
    job.versionNumber += 1;
  } catch (error) {
    // The first try may have been stored with its answer lost: then the server's version is one ahead, with our status.
    const state = error.executionState;
    if (state?.status !== status || state.versionNumber !== job.versionNumber + 1) throw error;
    job.versionNumber = state.versionNumber;
    say(`update ${status} had been stored before the outage`);
  }
  acknowledge({ jobId: job.jobId, executionNumber: job.executionNumber, status, versionNumber: job.versionNumber });
  say(`reported ${status} ${statusDetails?.progress ?? statusDetails?.reason ?? ''}`);
}

async function download(url) {
  for (let attempt = 1; ; ++attempt) {
    try {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`HTTP ${response.status} ${await response.text()}`);
      return Buffer.from(await response.arrayBuffer());
    } catch (error) {
      if (attempt === 30) throw error;
      say(`download: ${error.message}; trying again`);
      await pause(500);
    }
  }
}

async function perform(job) {
  const firmware = job.jobDocument.firmware;
  if (behaviour === 'reject') return report(job, 'REJECTED', { reason: 'battery-low' });
  await report(job, 'IN_PROGRESS', { progress: '10%' });
  await pause(paceMs);
  const bytes = await download(firmware.url);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== firmware.sha256) return report(job, 'FAILED', { reason: 'sha256-mismatch' });
  say(`downloaded ${bytes.length} bytes, SHA-256 is right`);
  for (const progress of ['40%', '70%']) {
    await report(job, 'IN_PROGRESS', { progress });
    await pause(paceMs);
  }
  if (behaviour === 'fail') return report(job, 'FAILED', { reason: 'flash-write-error' });
  return report(job, 'SUCCEEDED', { version: job.jobDocument.version });
}

let finished = false;
while (!finished) {
  const woken = new Promise((resolve) => { wake = resolve; });
  const job = await ask('start-next', () => channel.startNext({ step: 'started' }));
  if (job) {
    acknowledge({ jobId: job.jobId, executionNumber: job.executionNumber, status: job.status, versionNumber: job.versionNumber });
    say(`started ${job.jobId} (version ${job.versionNumber})`);
    await perform(job);
    finished = true;
  } else {
    await Promise.race([woken, pause(30000)]);
  }
}
await channel.close();
process.exit(0);
