#!/bin/sh
# Installs the Debian packages that the tests need and that are missing: the
# real servers and clients that ours is compared with. Does nothing, and needs
# no rights, when all are there. Their services are kept from starting: they
# would take the ports and folders of a server that runs here.
set -eu

packages="openvswitch-common openvswitch-switch ovn-common ovn-central ovn-ic ovn-ic-db"

missing=""
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "Debian packages to install:$missing"

as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "this needs root or sudo" >&2; exit 1; }
    as_root=sudo
fi

# A policy-rc.d that is there already has its own reason and stays. Ours says
# 101 to invoke-rc.d: "the action is forbidden".
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi

$as_root apt-get update -q
# shellcheck disable=SC2086 # words, not one name
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing
