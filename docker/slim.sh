#!/bin/sh
# Runs inside of a new base: takes out what only Open vSwitch's scripts in Python and Perl need, and
# what installing left.
set -eu
purge() {
    unused=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | awk -v names="^($1)\$" '
        $1 == "ii" && $2 ~ names { print $2 }')
    # shellcheck disable=SC2086
    [ -z "$unused" ] || dpkg --purge --force-depends $unused 2>&1
}
# One after the other: the scripts that remove Python use Perl.
purge 'python3.*|libpython3.*|media-types|libsqlite3-0'
purge 'usrmerge|perl|perl-modules-.*|libperl.*|libgdbm.*|lib.*-perl'
rm -rf /var/cache/apt/* /var/cache/debconf/* /var/lib/apt/lists/* /var/log/*.log /var/log/apt \
    /usr/share/openvswitch/bugtool-plugins /usr/share/ovn/bugtool-plugins
