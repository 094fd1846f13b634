# SPDX-License-Identifier: Apache-2.0
"""Amazon S3 as boto3, the AWS CLI and plain HTTP see it."""
import base64
import concurrent.futures
import datetime
import hashlib
import http.client
import io
import os
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

import pytest
from botocore.exceptions import ClientError

from server_process import wait_until


def code(call, **arguments):
    """The error code and HTTP status of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def bucket(s3, unique):
    name = f"bucket-{unique}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def s3_v4(platform):
    return platform.client("s3", signature_version="s3v4")


def fetch(url, method="GET", data=None, headers=None):
    request = urllib.request.Request(url, method=method, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.read(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


# ---- buckets

def test_bucket_lifecycle(s3, platform, unique):
    name = f"life-{unique}"
    created = s3.create_bucket(Bucket=name)
    assert created["Location"] == f"/{name}"
    listed = s3.list_buckets()
    entry = next(b for b in listed["Buckets"] if b["Name"] == name)
    assert abs(entry["CreationDate"] - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=2)
    assert len(listed["Owner"]["ID"]) == 64
    head = s3.head_bucket(Bucket=name)
    assert head["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == platform.region
    location = s3.get_bucket_location(Bucket=name)["LocationConstraint"]
    assert location == (None if platform.region == "us-east-1" else platform.region)
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    assert code(s3.delete_bucket, Bucket=name) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=name, Key="k")
    s3.delete_bucket(Bucket=name)
    assert code(s3.head_bucket, Bucket=name) == ("404", 404)
    assert code(s3.delete_bucket, Bucket=name) == ("NoSuchBucket", 404)
    assert code(s3.list_objects_v2, Bucket=name) == ("NoSuchBucket", 404)


def test_bucket_names_and_places(s3, platform, unique):
    for bad in ("UPPER-" + unique, "a..b" + unique, "1.2.3.4", "xn--" + unique):
        assert code(s3.create_bucket, Bucket=bad) == ("InvalidBucketName", 400)
    elsewhere = {"LocationConstraint": "eu-west-3" if platform.region != "eu-west-3" else "eu-west-2"}
    assert code(s3.create_bucket, Bucket=f"far-{unique}", CreateBucketConfiguration=elsewhere) == (
        "IllegalLocationConstraintException", 400)


def test_what_is_not_honoured_is_refused_by_name(s3, bucket):
    for extra in ({"ACL": "public-read"}, {"ServerSideEncryption": "AES256"}, {"Tagging": "a=b"},
                  {"StorageClass": "GLACIER"}, {"ObjectLockMode": "GOVERNANCE"}):
        name, status = code(s3.put_object, Bucket=bucket, Key="refused", Body=b"x", **extra)
        assert (name, status) == ("NotImplemented", 501), extra
    assert code(s3.head_object, Bucket=bucket, Key="refused") == ("404", 404)
    assert code(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})[1] == 501


# ---- put, get, head

def test_round_trip_with_metadata(s3, bucket):
    body = os.urandom(100_000)
    expires = datetime.datetime(2031, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)
    put = s3.put_object(Bucket=bucket, Key="dir/é +&<key>?#%", Body=body, ContentType="application/x-firmware",
                        CacheControl="max-age=60", ContentDisposition='attachment; filename="f.bin"',
                        ContentEncoding="gzip", ContentLanguage="en", Expires=expires,
                        Metadata={"Version": "1.2.3", "note": "a b"})
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    for call in (s3.get_object, s3.head_object):
        got = call(Bucket=bucket, Key="dir/é +&<key>?#%")
        assert got["ContentLength"] == len(body)
        assert got["ETag"] == put["ETag"]
        assert got["ContentType"] == "application/x-firmware"
        assert got["CacheControl"] == "max-age=60"
        assert got["ContentDisposition"] == 'attachment; filename="f.bin"'
        assert got["ContentEncoding"] == "gzip"
        assert got["ContentLanguage"] == "en"
        assert got["Expires"] == expires
        assert got["AcceptRanges"] == "bytes"
        assert got["Metadata"] == {"version": "1.2.3", "note": "a b"}
        if "Body" in got:
            assert got["Body"].read() == body
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"] == "dir/é +&<key>?#%"


def test_empty_and_overwritten_objects(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["ContentLength"], got["Body"].read(), got["ContentType"]) == (0, b"", "binary/octet-stream")
    s3.put_object(Bucket=bucket, Key="k", Body=b"second", Metadata={"n": "2"})
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["Metadata"]) == (b"second", {"n": "2"})


def test_large_object_streams_with_bounded_memory(platform, s3, bucket):
    piece = os.urandom(1 << 20)
    size = 192
    whole = hashlib.md5()
    for _ in range(size):
        whole.update(piece)

    class Repeat(io.RawIOBase):
        def __init__(self):
            self.at = 0

        def readable(self):
            return True

        def seekable(self):
            return True

        def seek(self, offset, whence=0):
            self.at = {0: 0, 1: self.at, 2: size << 20}[whence] + offset
            return self.at

        def tell(self):
            return self.at

        def readinto(self, into):
            offset = self.at % len(piece)
            count = min(len(into), len(piece) - offset, (size << 20) - self.at)
            into[:count] = piece[offset:offset + count]
            self.at += count
            return count

    before = resident_kib(platform)
    put = s3.put_object(Bucket=bucket, Key="large", Body=io.BufferedReader(Repeat(), 1 << 20),
                        ContentLength=size << 20)
    assert put["ETag"] == f'"{whole.hexdigest()}"'
    got = hashlib.md5()
    for chunk in s3.get_object(Bucket=bucket, Key="large")["Body"].iter_chunks(1 << 20):
        got.update(chunk)
    assert got.digest() == whole.digest()
    assert resident_kib(platform) - before < 64 * 1024
    s3.delete_object(Bucket=bucket, Key="large")


def resident_kib(platform):
    with open(f"/proc/{platform.process.pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])


def test_absent_keys(s3, bucket):
    assert code(s3.get_object, Bucket=bucket, Key="none") == ("NoSuchKey", 404)
    assert code(s3.head_object, Bucket=bucket, Key="none") == ("404", 404)
    assert s3.delete_object(Bucket=bucket, Key="none")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert code(s3.put_object, Bucket=bucket, Key="k" * 1025, Body=b"")[0] == "KeyTooLongError"
    s3.put_object(Bucket=bucket, Key="k" * 1024, Body=b"")


def test_ranges(s3, bucket):
    s3.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
    for spec, expected, content_range in (("bytes=2-4", b"234", "bytes 2-4/10"), ("bytes=7-", b"789", "bytes 7-9/10"),
                                          ("bytes=-2", b"89", "bytes 8-9/10"),
                                          ("bytes=0-99", b"0123456789", "bytes 0-9/10")):
        got = s3.get_object(Bucket=bucket, Key="digits", Range=spec)
        assert (got["Body"].read(), got["ContentRange"]) == (expected, content_range)
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert code(s3.get_object, Bucket=bucket, Key="digits", Range="bytes=10-") == ("InvalidRange", 416)
    head = s3.head_object(Bucket=bucket, Key="digits", Range="bytes=2-4")
    assert head["ContentLength"] == 3


def test_conditional_reads(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)
    assert s3.get_object(Bucket=bucket, Key="k", IfMatch=etag)["Body"].read() == b"x"
    assert code(s3.get_object, Bucket=bucket, Key="k", IfMatch='"other"') == ("PreconditionFailed", 412)
    assert code(s3.get_object, Bucket=bucket, Key="k", IfNoneMatch=etag) == ("304", 304)
    assert code(s3.head_object, Bucket=bucket, Key="k", IfNoneMatch=etag) == ("304", 304)
    assert code(s3.get_object, Bucket=bucket, Key="k", IfModifiedSince=now + hour) == ("304", 304)
    assert code(s3.get_object, Bucket=bucket, Key="k", IfUnmodifiedSince=now - hour) == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="k", IfModifiedSince=now - hour)["Body"].read() == b"x"


# ---- integrity

def test_content_md5_and_checksums(s3, bucket):
    body = b"some bytes"
    good = base64.b64encode(hashlib.md5(body).digest()).decode()
    wrong = base64.b64encode(hashlib.md5(b"others").digest()).decode()
    s3.put_object(Bucket=bucket, Key="k", Body=body, ContentMD5=good)
    assert code(s3.put_object, Bucket=bucket, Key="k", Body=b"changed!!!", ContentMD5=wrong) == ("BadDigest", 400)
    assert code(s3.put_object, Bucket=bucket, Key="k", Body=body, ContentMD5="nonsense") == ("InvalidDigest", 400)
    sums = {"ChecksumSHA256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
            "ChecksumSHA1": base64.b64encode(hashlib.sha1(body).digest()).decode(),
            "ChecksumCRC32": base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()}
    for name, value in sums.items():
        put = s3.put_object(Bucket=bucket, Key=name, Body=body, **{name: value})
        assert put[name] == value
        assert s3.head_object(Bucket=bucket, Key=name, ChecksumMode="ENABLED")[name] == value
        assert code(s3.put_object, Bucket=bucket, Key=name, Body=b"other body", **{name: value}) == (
            "BadDigest", 400)
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="ChecksumSHA256")["Contents"][0]
    assert listed["ChecksumAlgorithm"] == ["SHA256"]
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_client_computed_checksum_with_algorithm(s3, bucket):
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        s3.put_object(Bucket=bucket, Key=algorithm, Body=b"bytes", ChecksumAlgorithm=algorithm)
        got = s3.get_object(Bucket=bucket, Key=algorithm, ChecksumMode="ENABLED")
        assert f"Checksum{algorithm}" in got
        assert got["Body"].read() == b"bytes"  # botocore compares on the way


def test_bytes_cut_off_by_the_client_are_not_an_object(platform, s3_v4, bucket):
    url = s3_v4.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "cut"})
    parts = urllib.parse.urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                           "Content-Length: 1000000\r\n\r\n".encode() + b"x" * 500_000)
    staging = os.path.join(platform.data_dir, "blobs", "staging")
    wait_until(lambda: not os.listdir(staging), what="the half-written blob's removal")
    assert code(s3_v4.head_object, Bucket=bucket, Key="cut") == ("404", 404)


# ---- pre-signed

@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_get_and_put(platform, bucket, version):
    signer = platform.client("s3", signature_version=version)
    params = {"Bucket": bucket, "Key": "dir/firmware v1.bin"}
    status, _, headers = fetch(signer.generate_presigned_url("put_object", Params=params), "PUT", b"firmware",
                               {"Content-Type": ""})  # version 2 signs it, and urllib would choose one
    assert status == 200
    assert headers["ETag"] == f'"{hashlib.md5(b"firmware").hexdigest()}"'
    url = signer.generate_presigned_url("get_object", Params=params, ExpiresIn=60)
    status, body, headers = fetch(url)
    assert (status, body) == (200, b"firmware")
    status, body, headers = fetch(url, headers={"Range": "bytes=0-3"})
    assert (status, body, headers["Content-Range"]) == (206, b"firm", "bytes 0-3/8")
    override = signer.generate_presigned_url(
        "get_object", Params={**params, "ResponseContentType": "text/plain", "ResponseCacheControl": "no-store"})
    status, body, headers = fetch(override)
    assert (headers["Content-Type"], headers["Cache-Control"]) == ("text/plain", "no-store")
    assert fetch(url, "DELETE")[0] == 403
    assert fetch(url.replace("firmware%20v1", "firmware%20v2"))[0] == 403
    assert fetch(url[:-3] + "abc")[0] == 403


def test_presigned_url_expires(s3_v4, bucket):
    s3_v4.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = s3_v4.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=1)
    assert fetch(url)[0] == 200
    time.sleep(2.1)
    status, body, _ = fetch(url)
    assert status == 403 and b"<Code>AccessDenied</Code>" in body and b"Request has expired" in body


def test_unsigned_requests_are_denied(platform, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for method, path in (("GET", f"/{bucket}/k"), ("HEAD", f"/{bucket}/k"), ("PUT", f"/{bucket}/k2"),
                         ("DELETE", f"/{bucket}/k"), ("GET", f"/{bucket}")):
        status, body, _ = fetch(platform.endpoint + path, method, b"y" if method == "PUT" else None)
        assert status == 403, (method, path)
        assert method == "HEAD" or b"<Code>AccessDenied</Code>" in body
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_stored_header_cannot_split_the_response(platform, s3_v4, bucket):
    s3_v4.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = s3_v4.generate_presigned_url("get_object", Params={
        "Bucket": bucket, "Key": "k", "ResponseContentDisposition": "a\r\nSet-Cookie: stolen=1"})
    status, body, headers = fetch(url)
    assert "Set-Cookie" not in headers
    assert status in (200, 400)


# ---- listing

def test_listing_with_prefix_delimiter_and_pages(s3, bucket):
    keys = ["a.txt", "dir/1", "dir/2", "dir/sub/3", "dir2/4", "z +%&.txt", "é"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    contents = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [c["Key"] for c in contents] == sorted(keys, key=str.encode)
    assert contents[0]["Size"] == 5 and contents[0]["StorageClass"] == "STANDARD"
    assert contents[0]["ETag"] == f'"{hashlib.md5(b"a.txt").hexdigest()}"'
    for size in (1, 2, 3, 1000):
        seen = []
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="/",
                                                                 PaginationConfig={"PageSize": size}):
            entries = [c["Key"] for c in page.get("Contents", [])]
            entries += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
            assert page["KeyCount"] == len(entries) <= size
            seen += sorted(entries, key=str.encode)
        assert seen == ["a.txt", "dir/", "dir2/", "z +%&.txt", "é"]
        old = []
        for page in s3.get_paginator("list_objects").paginate(Bucket=bucket, PaginationConfig={"PageSize": size}):
            old += [c["Key"] for c in page["Contents"]]
        assert old == sorted(keys, key=str.encode)
    assert [c["Key"] for c in s3.list_objects_v2(Bucket=bucket, Prefix="dir/", Delimiter="/")["Contents"]] == [
        "dir/1", "dir/2"]
    assert [c["Key"] for c in s3.list_objects_v2(Bucket=bucket, StartAfter="dir2/4")["Contents"]] == [
        "z +%&.txt", "é"]
    assert "Owner" in s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
    assert code(s3.list_objects_v2, Bucket=bucket, ContinuationToken="made up") == ("InvalidArgument", 400)


def test_many_keys_under_one_prefix_cost_one_seek(s3, bucket):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: s3.put_object(Bucket=bucket, Key=f"many/{n:05}", Body=b""), range(1200)))
    s3.put_object(Bucket=bucket, Key="zz", Body=b"")
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["many/"]
    assert [c["Key"] for c in page["Contents"]] == ["zz"]
    first = s3.list_objects_v2(Bucket=bucket)
    assert (first["KeyCount"], first["IsTruncated"]) == (1000, True)
    rest = s3.list_objects_v2(Bucket=bucket, ContinuationToken=first["NextContinuationToken"])
    assert (rest["KeyCount"], rest["IsTruncated"]) == (201, False)


# ---- delete and copy

def test_delete_objects(s3, bucket):
    for key in ("a", "b", "c & d"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "c & d"}, {"Key": "none"}]})
    assert sorted(d["Key"] for d in gone["Deleted"]) == ["a", "c & d", "none"]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_conditional_writes(s3, bucket, s3_v4):
    def put(condition):
        url = s3_v4.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "once"})
        return fetch(url, "PUT", b"x", condition)[0]

    assert put({"If-None-Match": "*"}) == 200
    assert put({"If-None-Match": "*"}) == 412
    assert put({"If-Match": '"other"'}) == 412
    assert put({"If-Match": f'"{hashlib.md5(b"x").hexdigest()}"'}) == 200


def test_copy(s3, bucket, unique):
    other = f"other-{unique}"
    s3.create_bucket(Bucket=other)
    s3.put_object(Bucket=bucket, Key="from é", Body=b"bytes", ContentType="text/plain", Metadata={"a": "1"})
    result = s3.copy_object(Bucket=other, Key="to", CopySource={"Bucket": bucket, "Key": "from é"})
    assert result["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(b"bytes").hexdigest()}"'
    got = s3.get_object(Bucket=other, Key="to")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"bytes", "text/plain", {"a": "1"})
    s3.copy_object(Bucket=other, Key="to", CopySource={"Bucket": other, "Key": "to"}, MetadataDirective="REPLACE",
                   Metadata={"b": "2"})
    s3.delete_object(Bucket=bucket, Key="from é")
    got = s3.get_object(Bucket=other, Key="to")
    assert (got["Body"].read(), got["Metadata"]) == (b"bytes", {"b": "2"})
    assert code(s3.copy_object, Bucket=other, Key="x", CopySource={"Bucket": bucket, "Key": "from é"}) == (
        "NoSuchKey", 404)


# ---- durability and hostile input

def test_acknowledged_objects_survive_kill(own_platform, unique):
    s3 = own_platform.client("s3")
    bucket = f"crash-{unique}"
    s3.create_bucket(Bucket=bucket)
    bodies = {}
    stop = time.monotonic() + 2

    def writer(number):
        count = 0
        mine = own_platform.client("s3")
        while time.monotonic() < stop:
            key, body = f"{number}/{count}", os.urandom(20_000)
            try:
                mine.put_object(Bucket=bucket, Key=key, Body=body)
            except Exception:  # killed under us: not acknowledged
                return
            bodies[key] = hashlib.md5(body).hexdigest()
            count += 1

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(writer, n) for n in range(4)]
        time.sleep(1)
        own_platform.kill()
        for future in writers:
            future.result()
    assert len(bodies) > 10
    own_platform.start()
    s3 = own_platform.client("s3")
    for key, digest in bodies.items():
        assert hashlib.md5(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest() == digest
    listed = [c for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket) for c in page["Contents"]]
    for entry in listed:  # a record never lacks its blob
        body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        assert f'"{hashlib.md5(body).hexdigest()}"' == entry["ETag"]
    blobs = os.path.join(own_platform.data_dir, "blobs")
    assert os.listdir(os.path.join(blobs, "staging")) == []
    files = sum(len(names) for _, _, names in os.walk(blobs))
    assert files == len(listed)  # and no blob lacks a record


def raw(platform, request):
    with socket.create_connection(("127.0.0.1", platform.http_port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while True:
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                break
            if not piece:
                break
            answer += piece
    return answer


@pytest.mark.parametrize("request_bytes, status", [
    (b"GET / HTTP/1.1\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", b"400"),
    (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", b"505"),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40000 + b"\r\n\r\n", b"431"),
    (b"\x00\x01\x02\x03\r\n\r\n", b"400"),
])
def test_malformed_http_is_refused(platform, request_bytes, status):
    answer = raw(platform, request_bytes)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert fetch(platform.endpoint + "/health/live")[0] == 200


def test_expect_continue_is_answered(platform, s3_v4, bucket):
    url = s3_v4.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    parts = urllib.parse.urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                           "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n".encode())
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        assert reply.status == 200


# ---- the AWS CLI

def test_aws_cli(platform, bucket, tmp_path):
    source = tmp_path / "firmware.bin"
    source.write_bytes(os.urandom(300_000))

    def aws(*arguments):
        return platform.cli(*arguments).stdout

    aws("s3", "cp", str(source), f"s3://{bucket}/fw/firmware.bin")
    assert "firmware.bin" in aws("s3", "ls", f"s3://{bucket}/fw/")
    aws("s3", "cp", f"s3://{bucket}/fw/firmware.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == source.read_bytes()
    url = aws("s3", "presign", f"s3://{bucket}/fw/firmware.bin").strip()
    assert fetch(url)[1] == source.read_bytes()
    aws("s3", "rm", "--recursive", f"s3://{bucket}/")
    aws("s3", "rb", f"s3://{bucket}")
