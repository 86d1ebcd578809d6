"""Creates the zip file that Lambda runs: `lambda_zip.py BOOTSTRAP ZIP`.

Rejects a binary that needs a newer glibc than Lambda's provided.al2023 has, because the function would fail
at its first start. The zip file contains no timestamps, so that the same binary results in the same file.
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
    """Returns the newest version of glibc that a symbol of the binary needs."""
    command = ["objdump", "--dynamic-syms", str(binary)]
    symbols = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    versions = re.findall(r"GLIBC_(\d+(?:\.\d+)+)", symbols)
    return max((tuple(map(int, version.split("."))) for version in versions), default=(0,))


def write_zip(binary: Path, target: Path) -> None:
    """Writes a zip file with the one file that Lambda starts."""
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", compresslevel=9) as archive:
        archive.writestr(entry, binary.read_bytes())


def main(binary: Path, target: Path) -> None:
    if not binary.read_bytes().startswith(b"\x7fELF"):
        sys.exit(f"{binary} is not a program for Linux: build it on Linux, or for a Linux target")
    needed = needed_glibc(binary)
    if needed > AMAZON_LINUX_2023_GLIBC:
        version = ".".join(map(str, needed))
        sys.exit(
            f"{binary} needs glibc {version}, but Amazon Linux 2023 has 2.34: build it on an older "
            "system, or with `cargo lambda build --release --no-default-features --bin bootstrap`"
        )
    write_zip(binary, target)
    checksum = hashlib.sha256(target.read_bytes()).hexdigest()
    megabytes = target.stat().st_size / 1e6
    print(f"{target}: {megabytes:.2f} MB, glibc {'.'.join(map(str, needed))}, sha256 {checksum}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
