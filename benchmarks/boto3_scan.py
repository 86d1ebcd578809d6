"""A rival of `scan.py`: boto3, in threads. Arguments: how many Regions at once, and the Regions."""

import sys
from concurrent.futures import ThreadPoolExecutor

import boto3


def count_open(region):
    pages = (
        boto3.session.Session()
        .client("ec2", region)
        .get_paginator("describe_instances")
        .paginate(PaginationConfig={"PageSize": 1000})
    )
    instances = (
        each for page in pages for reservation in page["Reservations"] for each in reservation["Instances"]
    )
    return sum(each["MetadataOptions"]["HttpTokens"] == "optional" for each in instances)


at_once, *regions = sys.argv[1:]
with ThreadPoolExecutor(int(at_once)) as pool:
    print(sum(pool.map(count_open, regions)))
