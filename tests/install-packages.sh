#!/bin/sh
# Installs the programs that the tests compare with and drive: Debian's Open vSwitch and OVN, and Prometheus.
# Does nothing where they are there already.
set -eu
missing=
for package in binutils docker-compose faketime iproute2 mmdebstrap openvswitch-common openvswitch-switch ovn-common ovn-central ovn-host ovn-ic ovn-ic-db prometheus python3-openvswitch python3-venv; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "these Debian packages are missing; install them as root:$missing" >&2
    exit 1
fi
# The packages would start services of their own, on the ports that are used here.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    trap 'rm -f $policy' EXIT
fi
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing
