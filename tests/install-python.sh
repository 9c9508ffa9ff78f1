#!/bin/sh
# Makes a virtual environment in the target folder with PyPI's packages of python-requirements.txt, for the
# tests of the Python IDL. Does nothing where it is there already.
set -eu
cd "$(dirname "$0")/.."
requirements=tests/python-requirements.txt
place=${CARGO_TARGET_DIR:-target}/python
# Written last: what it is made of.
made=$place/made-of.txt
cmp -s $requirements "$made" && "$place/bin/python" -c 'import ovs.db.idl' 2>/dev/null && exit 0
rm -rf "$place"
mkdir -p "$place"
# The one that Debian's python3-venv belongs to.
/usr/bin/python3 -m venv "$place"
# Without a compiler ovs comes as plain Python: its C part is not needed, and would want Open vSwitch's headers.
# The constraint is for what builds it.
CC=false PIP_CONSTRAINT=$requirements \
    "$place/bin/pip" install --quiet --disable-pip-version-check -r $requirements
cp $requirements "$made"
