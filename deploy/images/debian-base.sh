#!/usr/bin/env bash
# Make a base image of Debian and Python 3.11 without an image registry: debian-base.sh [NAME] [MIRROR]. Needs root,
# debootstrap and buildah.
set -euo pipefail
name=${1:-localhost/churn-base}
mirror=${2:-http://deb.debian.org/debian}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$folder/root" "$mirror" >&2
rm -rf "$folder"/root/var/cache/apt/* "$folder"/root/var/lib/apt/lists/* "$folder"/root/usr/share/{doc,man,locale}/*
container=$(buildah from scratch)
buildah copy --quiet "$container" "$folder/root" / >/dev/null
buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
buildah commit --quiet --rm "$container" "$name" >/dev/null
echo "$name"
