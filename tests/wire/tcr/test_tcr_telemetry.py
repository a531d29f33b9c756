"""Calls of the API are counted, and logged under one id with their answer."""

import json
import time


def test_a_call_is_logged_with_its_operation_under_the_id_of_its_answer(account):
    said = account.send("DescribeRegions")["RequestId"]
    (line,) = wait_for_lines(account.registry.log, said)
    assert line["operation"] == "tcr:DescribeRegions"
    assert line["path"] == "/"
    assert line["caller"] == "owner"


def test_a_refusal_is_in_the_trail_under_the_id_of_its_answer(account):
    answer = account.send(
        "CreateNamespace",
        {"RegistryId": "tcr-00000000", "NamespaceName": "any", "IsPublic": False},
    )
    (line,) = wait_for_lines(account.registry.log, answer["RequestId"])
    assert line["operation"] == "tcr:CreateNamespace"
    assert line["status"] == 200


def wait_for_lines(log, request_id):
    deadline = time.monotonic() + 10
    while True:
        lines = [
            json.loads(text)
            for text in log.read_text().splitlines()
            if request_id in text and '"event":"request"' in text
        ]
        if lines or time.monotonic() > deadline:
            return lines
        time.sleep(0.05)
