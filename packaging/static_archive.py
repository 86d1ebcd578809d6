"""Creates the archive of the command line: `static_archive.py BINARY ARCHIVE`.

Rejects a binary that is not static, because it would not start on every Linux. The archive contains no
timestamps, so that the same binary results in the same file.
"""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

LICENCE = Path(__file__).parent.parent / "LICENSE"


def is_static(binary: Path) -> bool:
    """Returns whether a binary needs neither a loader nor libraries."""
    command = ["readelf", "--wide", "--program-headers", "--dynamic", str(binary)]
    headers = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return "INTERP" not in headers and "NEEDED" not in headers


def entry(name: str, mode: int, content: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    return info


def write_archive(binary: Path, target: Path) -> None:
    """Writes an archive with the binary and the licence."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, mode in ((binary, 0o755), (LICENCE, 0o644)):
            content = path.read_bytes()
            archive.addfile(entry(path.name, mode, content), io.BytesIO(content))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(packed.getvalue(), compresslevel=9, mtime=0))


def main(binary: Path, target: Path) -> None:
    if not is_static(binary):
        sys.exit(f"{binary} is not static: build it for a musl target")
    write_archive(binary, target)
    checksum = hashlib.sha256(target.read_bytes()).hexdigest()
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB, sha256 {checksum}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
