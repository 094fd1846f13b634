# SPDX-License-Identifier: Apache-2.0
"""Fleet indexing through boto3 and the AWS CLI: settings, searches after each kind of change, aggregations, and dynamic
groups on what only the index knows. A server of its own: what is indexed is the account's."""
import json
import time

import pytest

from jobs_device import Device
from refusals import pages, refused
from server_process import Server, wait_until
from signed_request import send_json

MISSING = ("ResourceNotFoundException", 404)
INVALID = ("InvalidRequestException", 400)
QUERY = ("InvalidQueryException", 400)
AGGREGATION = ("InvalidAggregationException", 400)
NUMBERS = [{"name": "attributes.n", "type": "Number"}, {"name": "attributes.kind", "type": "String"},
           {"name": "shadow.reported.on", "type": "Boolean"}, {"name": "shadow.reported.t", "type": "Number"}]
EVERYTHING = {"thingIndexingMode": "REGISTRY_AND_SHADOW", "thingConnectivityIndexingMode": "STATUS",
              "namedShadowIndexingMode": "ON", "filter": {"namedShadowNames": ["package"]}, "customFields": NUMBERS}


@pytest.fixture(scope="module")
def server():
    server = Server(flags=("--plain_mqtt.port", "0", "--plain_mqtt.policy", "*"))
    turn_on(server.client("iot"))
    yield server
    server.remove()


@pytest.fixture(scope="module")
def iot(server):
    return server.client("iot")


@pytest.fixture(scope="module")
def iot_data(server):
    return server.client("iot-data")


def turn_on(iot, things=EVERYTHING):
    iot.update_indexing_configuration(thingIndexingConfiguration=things,
                                      thingGroupIndexingConfiguration={"thingGroupIndexingMode": "ON"})
    for index in ("AWS_Things", "AWS_ThingGroups"):
        wait_until(lambda: iot.describe_index(indexName=index)["indexStatus"] == "ACTIVE", what=f"{index} is built")


def find(iot, query, **more):
    return [t["thingName"] for t in iot.search_index(queryString=query, **more)["things"]]


def soon(iot, query, names):
    """The search finds these within a second."""
    wait_until(lambda: find(iot, query) == names, seconds=1, what=f"{query} finds {names}")


def test_settings(own_platform):
    iot = own_platform.client("iot")
    found = iot.get_indexing_configuration()
    assert found["thingIndexingConfiguration"] == {"thingIndexingMode": "OFF"}
    assert found["thingGroupIndexingConfiguration"] == {"thingGroupIndexingMode": "OFF"}
    assert iot.list_indices()["indexNames"] == []
    error = refused(*MISSING, iot.search_index, queryString="*")
    assert error["Error"]["Message"] == ("Index AWS_Things does not exist. Please enable index by calling "
                                         "UpdateIndexingConfiguration")
    for call in (iot.get_cardinality, iot.get_statistics, iot.get_percentiles):
        refused(*MISSING, call, queryString="*")
    refused(*MISSING, iot.describe_index, indexName="AWS_Things")
    iot.create_thing(thingName="before")
    iot.update_indexing_configuration(thingIndexingConfiguration={"thingIndexingMode": "REGISTRY"})
    wait_until(lambda: iot.describe_index(indexName="AWS_Things")["indexStatus"] == "ACTIVE", what="it is built")
    assert iot.describe_index(indexName="AWS_Things")["schema"] == "REGISTRY"
    assert iot.list_indices()["indexNames"] == ["AWS_Things"]
    assert find(iot, "*") == ["before"]
    refused(*MISSING, iot.search_index, queryString="*", indexName="AWS_ThingGroups")
    refused(*MISSING, iot.search_index, queryString="*", indexName="other")
    refused(*QUERY, iot.search_index, queryString="shadow.reported.x:1")
    refused(*QUERY, iot.search_index, queryString="connectivity.connected:true")
    turn_on(iot)
    found = iot.get_indexing_configuration()["thingIndexingConfiguration"]
    assert {key: found[key] for key in EVERYTHING} == EVERYTHING
    managed = {field["name"]: field["type"] for field in found["managedFields"]}
    assert managed["registry.version"] == "Number" and managed["shadow.hasDelta"] == "Boolean"
    assert managed["shadow.name.package.version"] == "Number" and managed["connectivity.connected"] == "Boolean"
    iot.update_indexing_configuration(thingIndexingConfiguration=found)  # what was read may be written
    assert iot.describe_index(indexName="AWS_Things")["schema"] == "MULTI_INDEXING_MODE"
    assert pages(iot, "list_indices", "indexNames", size=1) == ["AWS_ThingGroups", "AWS_Things"]
    iot.update_indexing_configuration(thingIndexingConfiguration={"thingIndexingMode": "OFF"})
    refused(*MISSING, iot.search_index, queryString="*")
    own_platform.kill()
    own_platform.restart()
    iot = own_platform.client("iot")
    assert iot.list_indices()["indexNames"] == ["AWS_ThingGroups"]


@pytest.mark.parametrize("things, said", [
    ({"thingIndexingMode": "OFF", "thingConnectivityIndexingMode": "STATUS"}, "thingConnectivityIndexingMode"),
    ({"thingIndexingMode": "REGISTRY", "deviceDefenderIndexingMode": "VIOLATIONS"}, "Device Defender"),
    ({"thingIndexingMode": "REGISTRY", "namedShadowIndexingMode": "ON"}, "filter.namedShadowNames"),
    ({"thingIndexingMode": "REGISTRY", "customFields": [{"name": "thingName", "type": "String"}]}, "thingName"),
    ({"thingIndexingMode": "REGISTRY", "customFields": [{"name": "shadow.desired.x", "type": "String"}]}, "shadow"),
    ({"thingIndexingMode": "REGISTRY", "customFields": [{"name": f"attributes.{n}", "type": "String"}
                                                        for n in range(6)]}, "more than 5")])
def test_settings_that_are_refused(iot, things, said):
    message = refused(*INVALID, iot.update_indexing_configuration, thingIndexingConfiguration=things)
    assert said in message["Error"]["Message"]


def test_searches_follow_the_registry(iot, unique):
    iot.create_thing_group(thingGroupName=f"{unique}-top")
    iot.create_thing_group(thingGroupName=f"{unique}-low", parentGroupName=f"{unique}-top",
                           thingGroupProperties={"thingGroupDescription": f"the {unique} group",
                                                 "attributePayload": {"attributes": {"owner": unique}}})
    made = iot.create_thing(thingName=unique, attributePayload={"attributes": {"n": "7", "site": unique}})
    soon(iot, f"attributes.site:{unique} AND attributes.n>6", [unique])
    soon(iot, f"thingId:{made['thingId']}", [unique])
    soon(iot, unique, [unique])
    iot.add_thing_to_thing_group(thingGroupName=f"{unique}-low", thingName=unique)
    soon(iot, f"thingGroupNames:{unique}-top", [unique])
    document = iot.search_index(queryString=f"thingName:{unique}")["things"][0]
    assert document == {"thingName": unique, "thingId": made["thingId"], "attributes": {"n": "7", "site": unique},
                        "thingGroupNames": [f"{unique}-low", f"{unique}-top"], "connectivity": {"connected": False}}
    group = iot.search_index(indexName="AWS_ThingGroups", queryString=f"parentGroupNames:{unique}-top")["thingGroups"][0]
    assert group["thingGroupName"] == f"{unique}-low" and group["parentGroupNames"] == [f"{unique}-top"]
    assert group["thingGroupDescription"] == f"the {unique} group" and group["attributes"] == {"owner": unique}
    found = iot.search_index(indexName="AWS_ThingGroups", queryString=f'description:"{unique} group"')["thingGroups"]
    assert [g["thingGroupName"] for g in found] == [f"{unique}-low"]
    iot.update_thing(thingName=unique, attributePayload={"attributes": {"n": "5"}, "merge": True})
    soon(iot, f"attributes.site:{unique} attributes.n>6", [])
    iot.remove_thing_from_thing_group(thingGroupName=f"{unique}-low", thingName=unique)
    soon(iot, f"thingGroupNames:{unique}-low", [])
    iot.delete_thing(thingName=unique)
    soon(iot, f"attributes.site:{unique}", [])


def test_searches_follow_shadows(iot, iot_data, unique):
    iot.create_thing(thingName=unique)

    def update(state, **more):
        iot_data.update_thing_shadow(thingName=unique, payload=json.dumps({"state": state}), **more)
    update({"reported": {"t": 20, "on": True, "place": "New York"}, "desired": {"t": 22}})
    soon(iot, f"thingName:{unique} shadow.reported.t:[20 TO 21] shadow.hasDelta:true", [unique])
    soon(iot, f"thingName:{unique} shadow.reported.place:york shadow.reported.on:true shadow.desired.t:22", [unique])
    shown = json.loads(iot.search_index(queryString=f"thingName:{unique}")["things"][0]["shadow"])
    assert shown["reported"] == {"t": 20, "on": True, "place": "New York"} and shown["desired"] == {"t": 22}
    assert shown["hasDelta"] is True and shown["version"] == 1
    assert shown["metadata"]["reported"]["t"]["timestamp"] > 1_700_000_000
    update({"reported": {"t": 22, "on": None}})
    soon(iot, f"thingName:{unique} shadow.hasDelta:false NOT shadow.reported.on:*", [unique])
    update({"reported": {"version": "1.2"}}, shadowName="package")
    soon(iot, f"thingName:{unique} shadow.name.package.reported.version:1.2", [unique])
    refused(*QUERY, iot.search_index, queryString="shadow.name.other.reported.x:1")
    iot_data.delete_thing_shadow(thingName=unique)
    soon(iot, f"thingName:{unique} shadow.hasDelta:*", [])


def plain_device(server, thing):
    from types import SimpleNamespace
    environment = server.environment
    return Device(SimpleNamespace(host="127.0.0.1", port=int(environment["MUSTER_MQTT_PLAIN_PORT"])), thing, thing)


def test_dynamic_groups_follow_connections(server, iot, unique):
    iot.create_thing(thingName=unique)
    group, jobs = f"{unique}-online", server.client("iot-jobs-data")
    made = iot.create_dynamic_thing_group(
        thingGroupName=group, queryString=f"thingName:{unique} connectivity.connected:true")
    wait_until(lambda: iot.describe_thing_group(thingGroupName=group)["status"] == "ACTIVE", what="it is built")
    iot.create_job(jobId=unique, targets=[made["thingGroupArn"]], document="{}", targetSelection="CONTINUOUS")
    soon(iot, f"thingName:{unique} connectivity.connected:false", [unique])
    device = plain_device(server, unique)

    def members():
        return iot.list_things_in_thing_group(thingGroupName=group)["things"]
    wait_until(lambda: members() == [unique], seconds=1, what="it joins")
    soon(iot, f"thingGroupNames:{group} connectivity.connected:true", [unique])
    wait_until(lambda: jobs.get_pending_job_executions(thingName=unique)["queuedJobs"], what="its execution")
    soon(iot, f"jobs.{unique}.status:QUEUED AND jobs.status:QUEUED", [unique])
    connectivity = iot.search_index(queryString=f"thingName:{unique}")["things"][0]["connectivity"]
    assert connectivity["connected"] is True and abs(connectivity["timestamp"] / 1000 - time.time()) < 60
    device.client.disconnect()
    soon(iot, f"thingName:{unique} connectivity.disconnectReason:CLIENT_INITIATED_DISCONNECT", [unique])
    wait_until(lambda: members() == [], seconds=1, what="it leaves")
    device.close()
    soon(iot, f"thingName:{unique} jobs.{unique}.status:REMOVED", [unique])
    message = refused(*INVALID, iot.update_indexing_configuration,
                      thingIndexingConfiguration={"thingIndexingMode": "REGISTRY"})
    assert group in message["Error"]["Message"]
    iot.delete_dynamic_thing_group(thingGroupName=group)


def connectivity_data(server, thing):
    """(status, answer) of GetThingConnectivityData."""
    status, _, answer = send_json(server, "POST", f"/things/{thing}/connectivity-data")
    return status, answer


def test_the_connectivity_of_a_thing(server, iot, unique):
    iot.create_thing(thingName=unique)
    assert connectivity_data(server, unique) == (200, {"thingName": unique, "connected": False})
    device = plain_device(server, unique)

    def is_connected():
        return connectivity_data(server, unique)[1]["connected"]
    wait_until(is_connected, seconds=1, what="it is connected")
    device.client.disconnect()
    wait_until(lambda: not is_connected(), seconds=1, what="it is gone")
    status, body = connectivity_data(server, unique)
    assert status == 200 and body["disconnectReason"] == "CLIENT_INITIATED_DISCONNECT"
    assert abs(body["timestamp"] - time.time()) < 60
    device.close()
    assert connectivity_data(server, f"no-{unique}")[0] == 404


def test_dynamic_groups_follow_shadows(iot, iot_data, unique):
    iot.create_thing(thingName=unique)
    iot_data.update_thing_shadow(thingName=unique, payload=json.dumps({"state": {"reported": {"t": 50}}}))
    group = f"{unique}-hot"
    iot.create_dynamic_thing_group(thingGroupName=group, queryString=f"thingName:{unique} AND shadow.reported.t>30")

    def members():
        return iot.list_things_in_thing_group(thingGroupName=group)["things"]
    wait_until(lambda: members() == [unique], what="it is built")
    iot_data.update_thing_shadow(thingName=unique, payload=json.dumps({"state": {"reported": {"t": 10}}}))
    wait_until(lambda: members() == [], seconds=1, what="it leaves")
    iot.delete_dynamic_thing_group(thingGroupName=group)


def test_aggregations(server, iot, iot_data, unique):
    for n in range(1, 11):
        kind = "big" if n > 4 else "small"
        iot.create_thing(thingName=f"{unique}-{n}", attributePayload={"attributes": {
            "run": unique, "n": str(n), "kind": kind}})
        state = {"reported": {"on": n <= 3, "t": n / 2}}
        iot_data.update_thing_shadow(thingName=f"{unique}-{n}", payload=json.dumps({"state": state}))
    mine = f"attributes.run:{unique}"
    wait_until(lambda: len(find(iot, mine + " shadow.reported.t:*")) == 10, seconds=1, what="they are indexed")

    def statistics(field, query=mine):
        return iot.get_statistics(queryString=query, aggregationField=field)["statistics"]
    assert statistics("attributes.n") == {"count": 10, "average": 5.5, "sum": 55, "minimum": 1, "maximum": 10,
                                          "sumOfSquares": 385, "variance": 8.25,
                                          "stdDeviation": pytest.approx(8.25 ** 0.5)}
    assert statistics("attributes.n", mine + " attributes.n>8")["sum"] == 19
    assert statistics("shadow.reported.t")["maximum"] == 5
    assert statistics("attributes.kind") == {"count": 10}
    assert statistics("shadow.reported.on")["average"] == pytest.approx(0.3)
    assert iot.get_statistics(queryString=mine)["statistics"]["sum"] == 10, "registry.version, when nothing is said"
    assert iot.get_statistics(queryString="attributes.run:nobody")["statistics"] == {"count": 0}
    assert iot.get_cardinality(queryString=mine, aggregationField="attributes.kind")["cardinality"] == 2
    assert iot.get_cardinality(queryString=mine, aggregationField="thingName")["cardinality"] == 10
    percentiles = iot.get_percentiles(queryString=mine, aggregationField="attributes.n", percents=[10, 50, 100])
    assert percentiles["percentiles"] == [{"percent": 10, "value": 1}, {"percent": 50, "value": 5},
                                          {"percent": 100, "value": 10}]
    defaults = iot.get_percentiles(queryString=mine, aggregationField="attributes.n")["percentiles"]
    assert [one["percent"] for one in defaults] == [1, 5, 25, 50, 75, 95, 99]

    def buckets(field, **more):
        return iot.get_buckets_aggregation(queryString=mine, aggregationField=field,
                                           bucketsAggregationType={"termsAggregation": more})
    found = buckets("attributes.kind")
    assert found["totalCount"] == 10
    assert found["buckets"] == [{"keyValue": "big", "count": 6}, {"keyValue": "small", "count": 4}]
    assert [b["keyValue"] for b in buckets("attributes.kind", maxBuckets=1)["buckets"]] == ["big"]
    assert buckets("shadow.reported.on")["buckets"] == [{"keyValue": "false", "count": 7},
                                                        {"keyValue": "true", "count": 3}]
    refused(*AGGREGATION, iot.get_statistics, queryString=mine, aggregationField="attributes.undeclared")
    refused(*AGGREGATION, iot.get_percentiles, queryString=mine, aggregationField="attributes.kind")
    refused(*AGGREGATION, iot.get_buckets_aggregation, queryString=mine, aggregationField="attributes.kind",
            bucketsAggregationType={})
    refused(*INVALID, iot.get_percentiles, queryString=mine, aggregationField="attributes.n", percents=[101])
    refused(*QUERY, iot.get_cardinality, queryString="(", aggregationField="attributes.n")
    told = json.loads(server.cli("iot", "get-statistics", "--query-string", mine, "--aggregation-field",
                                 "attributes.n").stdout)
    assert told["statistics"]["sum"] == 55


def test_pages(server, iot, unique):
    names = sorted(f"{unique}-{n:02}" for n in range(25))
    for name in names:
        iot.create_thing(thingName=name, attributePayload={"attributes": {"page": unique}})
    query = f"attributes.page:{unique}"
    wait_until(lambda: len(find(iot, query)) == 25, seconds=1, what="they are indexed")
    found, token = [], {}
    while True:
        page = iot.search_index(queryString=query, maxResults=7, **token)
        found += [t["thingName"] for t in page["things"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert found == names
    first = iot.search_index(queryString=query, maxResults=5)
    iot.delete_thing(thingName=names[4])
    iot.delete_thing(thingName=names[6])
    wait_until(lambda: len(find(iot, query)) == 23, seconds=1, what="two are gone")
    second = iot.search_index(queryString=query, maxResults=5, nextToken=first["nextToken"])
    assert [t["thingName"] for t in second["things"]] == [names[5]] + names[7:11]
    refused(*INVALID, iot.search_index, queryString=query, nextToken="bm90IG91cnM=")
    told = json.loads(server.cli("iot", "search-index", "--query-string", query, "--max-results", "3").stdout)
    assert [t["thingName"] for t in told["things"]] == [n for n in names if n not in (names[4], names[6])][:3]


@pytest.mark.parametrize("query, said", [
    ("thingName:", "position 11"), ("(a", "position 1"), ("registry.version:1", "cannot be searched"),
    ("deviceDefender.violationCount:1", "Device Defender"), ("shadow.foo:1", "shadow.foo is not indexed"),
    ("attributes.x:[1 TO", "position"), (" ".join(f"a{n}" for n in range(13)), "12 terms"), ("a" * 1001, "1000"),
    ("*a OR *b", "begin with a wildcard"), ("a\x00b", "control character")])
def test_queries_that_are_refused(iot, query, said):
    message = refused(*QUERY, iot.search_index, queryString=query)
    assert said in message["Error"]["Message"]


def test_hostile_queries_are_answered(iot, iot_data, unique):
    iot.create_thing(thingName=unique, attributePayload={"attributes": {"a": "a" * 800}})
    soon(iot, f"thingName:{unique} attributes.a:{'a*' * 400}", [unique])
    assert find(iot, "attributes.a:" + "a*a?" * 200 + "b") == []
    assert find(iot, "-" * 900 + unique) == [unique]
    refused(*INVALID, iot.search_index, queryString="*", queryVersion="2030-01-01")


def test_the_index_is_built_again_after_a_crash(own_platform):
    iot = own_platform.client("iot")
    turn_on(iot)
    for n in range(50):
        iot.create_thing(thingName=f"t{n}", attributePayload={"attributes": {"n": str(n)}})
    own_platform.kill()
    own_platform.restart()
    iot = own_platform.client("iot")
    wait_until(lambda: iot.describe_index(indexName="AWS_Things")["indexStatus"] == "ACTIVE", what="it is built")
    assert iot.get_statistics(queryString="*", aggregationField="attributes.n")["statistics"]["sum"] == 49 * 25


def test_only_who_may_search_does(server, iot, unique):
    iam = server.client("iam")
    iam.create_user(UserName=unique)
    key = iam.create_access_key(UserName=unique)["AccessKey"]
    client = server.client("iot", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    refused("AccessDeniedException", 403, client.search_index, indexName="AWS_Things", queryString="*")
    refused("AccessDeniedException", 403, client.update_indexing_configuration,
            thingIndexingConfiguration={"thingIndexingMode": "OFF"})
    account = server.environment["MUSTER_ACCOUNT_ID"]
    iam.put_user_policy(UserName=unique, PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:SearchIndex",
                                                "Resource": f"arn:aws:iot:*:{account}:index/AWS_Things"}]}))
    client.search_index(indexName="AWS_Things", queryString="*")
    refused("AccessDeniedException", 403, client.search_index, indexName="AWS_ThingGroups", queryString="*")
