#!/usr/bin/env bash
# Write .env with the content of .env.example and random secrets: make-env.sh [FILE]. An existing file is kept.
set -euo pipefail
folder=$(dirname "$0")
target=${1:-$folder/.env}
if [ -e "$target" ]; then
    echo "$target exists. Its passwords are those of the databases: delete it only with their volumes." >&2
    exit 1
fi
umask 077
random() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }
key=$(random)
while IFS= read -r line; do
    case $line in
    SERVICE_KEY=) echo "SERVICE_KEY=$key" ;;
    SERVICE_KEY_DIGEST=) echo "SERVICE_KEY_DIGEST=$(printf %s "$key" | sha256sum | cut -d' ' -f1)" ;;
    [A-Z]*=) echo "$line$(random)" ;;
    *) echo "$line" ;;
    esac
done <"$folder/.env.example" >"$target"
