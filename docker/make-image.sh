#!/bin/sh
# Makes the image: docker/make-image.sh PROGRAM TAG...
#
#   BASE  the image to build upon [debian:bookworm-slim if it is here or can be pulled, otherwise
#         one that make-base.sh makes]
set -eu
if [ $# -lt 2 ] || [ ! -f "$1" ]; then
    echo "usage: $0 PROGRAM TAG...; PROGRAM is the built ovn-ic-db" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
program=$1
shift
usual=debian:bookworm-slim
if [ -z "${BASE:-}" ]; then
    BASE=$usual
    docker image inspect $usual >/dev/null 2>&1 || docker pull --quiet $usual >/dev/null 2>&1 ||
        BASE=$("$here/make-base.sh")
fi
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
for file in packages dpkg-excludes slim.sh start-ic-db.sh ovn-ic-healthcheck.sh; do
    cp -p "$here/$file" "$context/"
done
# Lines of its source stay for reports of a failure; in a test build that is most of the file.
objcopy --strip-debug "$program" "$context/ovn-ic-db"
chmod 755 "$context"/*.sh "$context/ovn-ic-db"
version=$("$program" --version)
revision=$(git -C "$here" rev-parse HEAD 2>/dev/null || echo unknown)
tags=
for tag in "$@"; do tags="$tags --tag $tag"; done
# shellcheck disable=SC2086
docker build --quiet --file "$here/Dockerfile" --build-arg BASE="$BASE" \
    --build-arg VERSION="${version##* }" --build-arg REVISION="$revision" \
    --build-arg CREATED="$(date -u +%Y-%m-%dT%H:%M:%SZ)" $tags "$context" >/dev/null
docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' "$1"
