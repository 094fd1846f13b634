# SPDX-License-Identifier: Apache-2.0
"""Calls of stock clients that must fail, and lists that come in pages."""
import pytest
from botocore.exceptions import ClientError


def refused(code, status, call, /, **arguments):
    """The error's response, after its code and HTTP status are as expected."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    got = response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
    assert got == (code, status), response
    assert response["Error"]["Message"]
    assert response["ResponseMetadata"]["RequestId"]
    return response


def pages(client, operation, key, size=2, **arguments):
    """All items through the stock paginator; no page is larger than asked for, and all but the last are full."""
    result = client.get_paginator(operation).paginate(PaginationConfig={"PageSize": size}, **arguments)
    found = [page[key] for page in result]
    assert all(len(page) <= size for page in found)
    assert all(found[:-1]), "an empty page before the last"
    return [item for page in found for item in page]
