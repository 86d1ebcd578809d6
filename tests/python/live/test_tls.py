"""The certificate authorities that the commands trust."""

import os
import ssl
import subprocess

import pytest
import trustme

from support import loopback
from support.repository import IMDSV2

REFUSED = (
    b'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Code>AccessDenied</Code>'
    b"<Message>refused by the stand-in</Message></Error></ErrorResponse>"
)
AUTHORITY = trustme.CA()


@pytest.fixture(scope="module")
def endpoint():
    """The address of a server whose certificate is of an authority that no system trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    with loopback.serving(lambda *_: (403, {}, REFUSED), context) as address:
        yield address


@pytest.fixture
def bundle(tmp_path):
    """Returns a function that writes a file and returns its path."""

    def write(content):
        path = tmp_path / "bundle.pem"
        path.write_bytes(content)
        return str(path)

    return write


def scan(endpoint, **variables):
    """Runs `imdsv2 scan`, which fails, and returns its error."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SSL_"))}
    environment |= {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": endpoint,
    }
    command = [IMDSV2, "scan", "--region", "us-east-1", "--type", "instance"]
    ended = subprocess.run(command, env=environment | variables, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2, ended
    return ended.stderr


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_bundle_is_trusted(endpoint, bundle, variable):
    other = trustme.CA().cert_pem.bytes()
    path = bundle(other + AUTHORITY.cert_pem.bytes())
    assert "refused by the stand-in" in scan(endpoint, **{variable: path})


def test_the_bundle_of_aws_counts_before_that_of_openssl(endpoint, bundle, tmp_path):
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().cert_pem.bytes())
    path = bundle(AUTHORITY.cert_pem.bytes())
    assert "refused by the stand-in" in scan(endpoint, AWS_CA_BUNDLE=path, SSL_CERT_FILE=str(other))


def test_an_unknown_authority_is_not_trusted(endpoint):
    error = scan(endpoint)
    assert "invalid peer certificate: UnknownIssuer: if a proxy has a certificate authority" in error


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it contains no certificate in PEM format"),
        (b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n", "base64"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 is invalid"),
    ],
)
def test_a_bundle_that_cannot_be_used_is_an_error(endpoint, bundle, content, reason):
    path = bundle(content)
    error = scan(endpoint, AWS_CA_BUNDLE=path)
    assert error.startswith(f"error: AWS_CA_BUNDLE: cannot read the certificate authorities in {path}: ")
    assert reason in error


def test_a_bundle_that_does_not_exist_is_an_error(endpoint):
    error = scan(endpoint, AWS_CA_BUNDLE="/nowhere.pem")
    assert error.startswith(
        "error: AWS_CA_BUNDLE: cannot read the certificate authorities in /nowhere.pem: No such file"
    )
