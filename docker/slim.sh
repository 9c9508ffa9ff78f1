#!/bin/sh
# Runs inside of a new base: takes out what only Open vSwitch's scripts in Python and Perl need, and
# what installing left.
set -eu
unused=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | awk '
    $1 == "ii" && $2 ~ /^(python3.*|libpython3.*|media-types|libsqlite3-0|perl|perl-modules-.*|libperl.*|libgdbm.*)$/ { print $2 }')
# shellcheck disable=SC2086
[ -z "$unused" ] || dpkg --purge --force-depends $unused >/dev/null 2>&1
rm -rf /var/cache/apt/* /var/cache/debconf/* /var/lib/apt/lists/* /var/log/*.log /var/log/apt \
    /usr/share/openvswitch/bugtool-plugins /usr/share/ovn/bugtool-plugins
