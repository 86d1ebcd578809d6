"""Zips the built function for Lambda: `lambda_zip.py BOOTSTRAP ZIP`.

Refuses a binary that needs a newer glibc than Lambda's provided.al2023 has: it would deploy, and
then fail at its first start. The zip has no times of its own, so that equal binaries give equal zips.
"""

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

# https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html
AMAZON_LINUX_2023_GLIBC = (2, 34)


def needed_glibc(binary: Path) -> tuple[int, ...]:
    """The newest version of glibc's symbols that the binary asks for."""
    command = ["objdump", "--dynamic-syms", str(binary)]
    symbols = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    versions = re.findall(r"GLIBC_(\d+(?:\.\d+)+)", symbols)
    return max((tuple(map(int, version.split("."))) for version in versions), default=(0,))


def write_zip(binary: Path, target: Path) -> None:
    """A zip with the one file that Lambda starts."""
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", compresslevel=9) as archive:
        archive.writestr(entry, binary.read_bytes())


def main(binary: Path, target: Path) -> None:
    needed = needed_glibc(binary)
    if needed > AMAZON_LINUX_2023_GLIBC:
        version = ".".join(map(str, needed))
        sys.exit(
            f"{binary} needs glibc {version}; Amazon Linux 2023 has 2.34. Build it on an older system, or "
            "with `cargo lambda build --release --no-default-features --bin bootstrap`."
        )
    write_zip(binary, target)
    checksum = hashlib.sha256(target.read_bytes()).hexdigest()
    print(
        f"{target}: {target.stat().st_size / 1e6:.2f} MB, glibc {'.'.join(map(str, needed))}, sha256 {checksum}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
