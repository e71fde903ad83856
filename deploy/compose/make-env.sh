#!/usr/bin/env bash
# Print .env.example with random secrets: make-env.sh > .env
set -euo pipefail
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
done <"$(dirname "$0")/.env.example"
