# SPDX-License-Identifier: Apache-2.0
"""The stock AWS CLI v2: its output forms, its pages, its exit codes, and S3 commands. Each call costs a second."""
import json
import subprocess


def test_thing_from_json_input_and_output_forms(platform, unique):
    wanted = {"thingName": unique, "attributePayload": {"attributes": {"site": unique}}}
    made = platform.cli("iot", "create-thing", "--output", "text", "--query", "thingName", "--cli-input-json",
                        json.dumps(wanted)).stdout
    assert made == unique + "\n"
    table = platform.cli("iot", "list-things", "--attribute-name", "site", "--attribute-value", unique, "--output",
                         "table").stdout
    assert "ListThings" in table and f":thing/{unique}" in table


def test_lists_are_paged_by_the_command_line(platform, iot, unique):
    names = [f"{unique}-{n}" for n in range(5)]
    for name in names:
        iot.create_thing_group(thingGroupName=name)
    listed = platform.cli("iot", "list-thing-groups", "--name-prefix-filter", unique, "--page-size", "2").stdout
    assert [g["groupName"] for g in json.loads(listed)["thingGroups"]] == names


def test_errors_have_exit_codes_and_words(platform, unique):
    done = platform.cli("iot", "describe-thing", "--thing-name", f"no-{unique}", check=False)
    assert done.returncode == 254 and "(ResourceNotFoundException)" in done.stderr and f"no-{unique}" in done.stderr
    done = platform.cli("iot", "list-streams", check=False)
    assert done.returncode == 254 and "ListStreams" in done.stderr


def test_certificate_files(platform, tmp_path):
    pem, key = tmp_path / "device.pem", tmp_path / "device.key"
    done = platform.cli("iot", "create-keys-and-certificate", "--set-as-active", "--certificate-pem-outfile", str(pem),
                        "--private-key-outfile", str(key), "--query", "certificateId", "--output", "text")
    assert len(done.stdout.strip()) == 64 and key.read_text().startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert subprocess.run(["openssl", "x509", "-in", pem, "-noout"], check=False).returncode == 0


def test_s3_commands(platform, s3, tmp_path, unique):
    s3.create_bucket(Bucket=f"b-{unique}")
    bucket, folder, back = f"s3://b-{unique}", tmp_path / "out", tmp_path / "back"
    folder.mkdir()
    (folder / "small file.txt").write_text("hello")
    (folder / "big.bin").write_bytes(b"0123456789abcdef" * 300_000)  # below the CLI's threshold of multipart uploads
    platform.cli("s3", "cp", str(folder), bucket + "/dir", "--recursive", "--no-progress")
    listed = platform.cli("s3", "ls", bucket + "/", "--recursive", "--summarize").stdout
    assert "dir/small file.txt" in listed and "4800000 dir/big.bin" in listed and "Total Objects: 2" in listed
    platform.cli("s3", "cp", bucket + "/dir", str(back), "--recursive", "--no-progress")
    for name in ("small file.txt", "big.bin"):
        assert (back / name).read_bytes() == (folder / name).read_bytes()
    url = platform.cli("s3", "presign", bucket + "/dir/small file.txt", "--expires-in", "60").stdout.strip()
    assert subprocess.run(["curl", "-sf", url], check=True, capture_output=True, text=True).stdout == "hello"
    other = url[:-1] + ("0" if url[-1] != "0" else "1")
    broken = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", other], check=True,
                            capture_output=True, text=True)
    assert broken.stdout == "403"
    platform.cli("s3", "rm", bucket, "--recursive")
    assert s3.list_objects_v2(Bucket=f"b-{unique}")["KeyCount"] == 0
