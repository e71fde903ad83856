#!/usr/bin/env bash
# Build an image: build.sh job|serve. It is named churn-kedro-KIND.
#
#   BUILDER   docker, podman or buildah; the first that is there
#   BASE      base image by digest, or a local one (localhost/…, see debian-base.sh)
#   PLATFORM  such as linux/amd64; empty: that of this machine
#   PIP_CONFIG_FILE, PIP_CERT  pip's own: for networks with an index or a certificate authority of their own; they are
#             not part of the image
#   SCAN      command that is run with the name of the image and fails if it finds something, such as
#             "trivy image --exit-code 1 --severity CRITICAL"
# `make sbom` lists the Python packages of both.
set -euo pipefail
cd "$(dirname "$0")/../.."
kind=${1:?job or serve}
case $kind in job | serve) ;; *) echo "Unknown kind $kind: expected job or serve." >&2; exit 2 ;; esac
# Python 3.11 on Debian 12, of the Docker library.
base=${BASE:-docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b}
case $base in
*@sha256:* | localhost/*) ;;
*) echo "BASE is $base; expected an image by digest (NAME@sha256:…), since a tag can be moved." >&2; exit 2 ;;
esac
if [ -z "${BUILDER:-}" ]; then
    for BUILDER in docker podman buildah ""; do
        [ -z "$BUILDER" ] || ! command -v "$BUILDER" >/dev/null || break
    done
fi
: "${BUILDER:?there is no docker, podman or buildah}"

arguments=(--file deploy/images/Containerfile --target "$kind" --tag "churn-kedro-$kind"
    --build-arg "BASE=$base" --build-arg "KIND=$kind"
    --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)"
    --build-arg "VERSION=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/churn_kedro/__init__.py)")
[ -z "${PLATFORM:-}" ] || arguments+=(--platform "$PLATFORM")
[ -z "${PIP_CONFIG_FILE:-}" ] || arguments+=(--secret "id=pip,src=$PIP_CONFIG_FILE")
[ -z "${PIP_CERT:-}" ] || arguments+=(--secret "id=ca,src=$PIP_CERT")
case $BUILDER in
docker) DOCKER_BUILDKIT=1 docker build "${arguments[@]}" . ;;
# Health checks are not part of the other format.
*) "$BUILDER" build --layers --format docker --ignorefile deploy/images/Containerfile.dockerignore "${arguments[@]}" . ;;
esac

if [ -n "${SCAN:-}" ]; then $SCAN "churn-kedro-$kind"; fi
