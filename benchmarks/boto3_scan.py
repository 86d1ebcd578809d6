"""Counts the instances that accept IMDSv1 with boto3, in threads. scan.py compares `imdsv2` with it.

Arguments: the number of threads, and the Regions.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import boto3


def count_open(region):
    paginator = boto3.session.Session().client("ec2", region).get_paginator("describe_instances")
    reservations = (
        reservation
        for page in paginator.paginate(PaginationConfig={"PageSize": 1000})
        for reservation in page["Reservations"]
    )
    instances = (instance for reservation in reservations for instance in reservation["Instances"])
    return sum(instance["MetadataOptions"]["HttpTokens"] == "optional" for instance in instances)


threads, *regions = sys.argv[1:]
with ThreadPoolExecutor(int(threads)) as pool:
    print(sum(pool.map(count_open, regions)))
