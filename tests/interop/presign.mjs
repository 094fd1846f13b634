// SPDX-License-Identifier: Apache-2.0
// A WebSocket address as AWS documents it: Signature Version 4 in the query, for the service iotdevicegateway.
import sha256 from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';

// sign: {accessKey, secretKey, region, token?, tokenIs?}. AWS's own libraries append the token of temporary credentials
// after signing ("appended"); other signers sign it with the rest ("signed").
export async function presign(scheme, host, port, { accessKey, secretKey, region, token, tokenIs }) {
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  if (tokenIs === 'signed') credentials.sessionToken = token;
  const signer = new SignatureV4({ service: 'iotdevicegateway', region, credentials, sha256: sha256.Sha256 });
  const { query } = await signer.presign({
    method: 'GET', protocol: `${scheme}:`, hostname: host, port, path: '/mqtt', query: {},
    headers: { host: `${host}:${port}` },
  }, { expiresIn: 300 });
  if (tokenIs === 'appended') query['X-Amz-Security-Token'] = token;
  const pairs = Object.entries(query).map((pair) => pair.map(encodeURIComponent).join('='));
  return `${scheme}://${host}:${port}/mqtt?${pairs.join('&')}`;
}
