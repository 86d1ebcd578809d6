"""The function as a process: its executable and its environment."""

import os
from pathlib import Path

BUILT = Path(__file__).resolve().parent.parent / "target" / "function"
BOOTSTRAP = [str(BUILT / "bootstrap")]


def environment(runtime: str, aws: str, memory: int = 256) -> dict[str, str]:
    """Returns the variables that Lambda sets, with `runtime` as its API and `aws` as the URL of all services.

    `memory` is the memory of the function in MB.
    """
    return {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_RUNTIME_API": runtime,
        "AWS_ENDPOINT_URL": aws,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_LAMBDA_FUNCTION_NAME": "rule",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
    }
