#!/bin/sh
# Imports the findings beside this script into Security Hub: those of the account whose credentials the AWS CLI uses. Run
# it once with the credentials of each account, because Security Hub accepts findings only from their own account. See
# https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html
set -eu
cd "$(dirname "$0")"
account=$(aws sts get-caller-identity --query Account --output text)
status=0
for batch in "$account"_*.json; do
  if [ ! -e "$batch" ]; then
    echo "There are no findings of account $account." >&2
    exit 1
  fi
  region=${batch#*_}
  refused=$(aws securityhub batch-import-findings --region "${region%_*}" --cli-input-json "file://$batch" \
    --query FailedCount --output text)
  if [ "$refused" != 0 ]; then
    echo "Security Hub refused $refused findings of $batch." >&2
    status=1
  fi
done
exit $status
