#!/usr/bin/env bash
# The steps of the GitHub Action: action.sh install, and then action.sh evaluate. action.yml sets the variables.
set -euo pipefail

install() {
    if [ "$(uname -s)" != Linux ]; then
        echo "::error::imdsv2 is released for Linux: run the action on a Linux runner"
        exit 2
    fi
    local archive
    archive=imdsv2-$(uname -m).tar.gz
    "$(dirname "$0")/download.sh" "$RELEASE" "$TARGET" "$archive"
    tar --extract --gzip --file "$TARGET/$archive" --directory "$TARGET"
}

# Writes the log for code scanning, and then prints the annotations: the second exit status is the action's.
evaluate() {
    local options=() paths=() status=0
    # A block of lines ends with an empty one.
    mapfile -t paths < <(grep . <<< "$EVALUATED_PATHS")
    if [ -n "$PARAMETERS" ]; then options+=(--parameters "$PARAMETERS"); fi
    if [ -n "$TEMPLATE_PARAMETERS" ]; then options+=(--template-parameters "$TEMPLATE_PARAMETERS"); fi
    "$TARGET/imdsv2" evaluate --quiet --allow-empty "${options[@]}" --exit-zero --format sarif \
        --output "$SARIF" -- "${paths[@]}" 2> /dev/null || true
    if [ "$FAIL" != true ]; then options+=(--exit-zero); fi
    "$TARGET/imdsv2" evaluate --allow-empty "${options[@]}" --format github -- "${paths[@]}" || status=$?
    # A result is uploaded only if there is one.
    if [ -s "$SARIF" ]; then echo "sarif=$SARIF" >> "$GITHUB_OUTPUT"; fi
    exit "$status"
}

"$1"
