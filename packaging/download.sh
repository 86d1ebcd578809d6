#!/bin/sh
# Downloads files of a release, and verifies their checksums: download.sh URL DIRECTORY FILE...
# URL is that of the release's files, such as https://github.com/OWNER/imdsv2-config-rule/releases/download/v1.2.3
set -eu

if [ $# -lt 3 ]; then
    echo "usage: $0 URL DIRECTORY FILE..." >&2
    exit 2
fi
url=$1 directory=$2
shift 2
mkdir -p "$directory"
cd "$directory"
# A download that is cut off leaves no file with the final name.
for file in SHA256SUMS "$@"; do
    curl --fail --location --silent --show-error --retry 3 --output "$file.part" "$url/$file" || {
        rm -f "$file.part"
        echo "error: cannot download $url/$file: expected the URL of a release" >&2
        exit 1
    }
    mv "$file.part" "$file"
done
for file in "$@"; do
    # The second column begins with an asterisk, because the files are binary.
    if ! awk -v name="*$file" '$2 == name' SHA256SUMS | sha256sum --check --strict --status -; then
        rm -f "$file"
        echo "error: $file does not have the checksum in SHA256SUMS of the release, and was deleted" >&2
        exit 1
    fi
    echo "$directory/$file"
done
