#!/bin/sh
# Makes the image that ovn-ic-db's stands on from Debian's packages, without a registry, and prints
# its name. Does nothing but print where it is there already: the name changes with this folder's
# package list and file list.
#
#   DEBIAN_MIRROR  where packages come from [http://deb.debian.org/debian]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
what=$(cat "$here/make-base.sh" "$here/packages" "$here/dpkg-excludes" "$here/slim.sh" | sha256sum | cut -c1-12)
name=ovn-ic-db-base:$what
if docker image inspect "$name" >/dev/null 2>&1; then
    echo "$name"
    exit 0
fi
if ! command -v mmdebstrap >/dev/null; then
    echo "mmdebstrap is missing: apt-get install mmdebstrap" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then mode=root; else mode=unshare; fi
packages=$(grep -v '^#' "$here/packages" | tr '\n' ,)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{
    printf '#!/bin/sh\nset -eu\n'
    printf 'cp "%s" "$1/slim.sh"; chroot "$1" sh /slim.sh; rm "$1/slim.sh"\n' "$here/slim.sh"
} >"$work/slim"
chmod +x "$work/slim"
# What dpkg leaves out is said by the same file as in an image that is built on a pulled base.
sed -n 's/^path-/--dpkgopt=path-/p' "$here/dpkg-excludes" >"$work/options"
mmdebstrap --quiet --mode=$mode --variant=essential --include="$packages" \
    $(cat "$work/options") --customize-hook="$work/slim" \
    bookworm "$work/base.tar" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >&2
docker import --change 'CMD ["bash"]' "$work/base.tar" "$name" >/dev/null
echo "$name"
