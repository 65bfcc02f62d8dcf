#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The Debian packages: test-package.sh SOURCE BUILD
#
# They are built twice, differently; looked at; and installed, upgraded and removed in a tree that is
# booted for that.

set -u

source=$1 build=$2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
trap 'exit 1' HUP INT TERM
log=$directory/log
one=$directory/one
another=$directory/another/place
failed=0

# it WORD… COMMAND: a case of that name; what the command says is shown if it fails.
it() {
        local name=$1
        shift
        if "$@" >"$log" 2>&1; then
                echo "ok - $name"
        else
                echo "not ok - $name"
                tail -n 100 "$log" | sed 's/^/       /'
                failed=1
        fi
}

# copy_source TO: what git has, with what was not committed yet.
copy_source() {
        mkdir -p "$1"
        (cd "$source" && git ls-files -co --exclude-standard) |
                tar -C "$source" -cf - --ignore-failed-read -T - | tar -C "$1" -xpf -
}

build_packages() {
        copy_source "$1/guestmap" && cd "$1/guestmap" && dpkg-buildpackage -us -uc -b
}

build_packages_differently() (
        umask 077
        TZ=Asia/Kathmandu LC_ALL=C.UTF-8 build_packages "$1"
)

# Beside those that the tests have been built with, in another folder.
build_programs() (
        umask 077
        cd "$another/guestmap" && TZ=Asia/Kathmandu meson setup -Dtests=false "$1" && ninja -C "$1"
)

same_programs() {
        local program result=0
        for program in daemon/guestmapd daemon/guestmap-vmd client/guestmapctl lib/libguestmap.a; do
                cmp "$build/$program" "$1/$program" || result=1
        done
        return $result
}

same_packages() {
        local package result=0 n=0
        for package in "$one"/*.deb; do
                cmp "$package" "$another/${package##*/}" || result=1
                n=$((n + 1))
        done
        echo "$n packages"
        [ $n = 3 ] && return $result
}

lint() {
        lintian --allow-root --info --display-info "$one"/*.changes
        [ -z "$(lintian --allow-root --display-info "$one"/*.changes 2>&1)" ]
}

# Where Debian keeps things, under the names that meson gives them.
packaged_files() {
        for package in "$one"/guestmap_*.deb "$one"/guestmap-dev_*.deb; do
                dpkg-deb --fsys-tarfile "$package" | tar -t
        done | sed -n -e '/\/$/d' -e 's|^\./||' -e 's|^lib/systemd|usr/&|' -e 's|\.gz$||' \
                -e 's|zsh/vendor-completions|zsh/site-functions|' \
                -e "s|lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)/|@libdir@/|" \
                -e '\|^usr/share/lintian/|d' \
                -e '\|^usr/share/doc/guestmap[^/]*/[^/]*$|d' -e '\|/examples/|d' -e p | LC_ALL=C sort
}

all_files() {
        {
                cat "$source/tests/check/installed.txt"
                cd "$source" && find lib -name '*.h' -printf 'usr/include/guestmap/%p\n'
        } | LC_ALL=C sort | diff - <(packaged_files)
}

# The same under a higher version, as an upgrade.
repack() {
        dpkg-deb -R "$1" "$directory/repacked"
        sed -i 's/^Version: .*/&+upgrade/' "$directory/repacked/DEBIAN/control"
        dpkg-deb -b "$directory/repacked" "$2"
}

booted() {
        local packages=$directory/tree/opt/packages
        mkdir -p "$packages" "$directory/tree/etc/systemd/system"
        ln -s /usr/lib/systemd/system/dbus.service "$directory/tree/etc/systemd/system/dbus.service"
        cp "$one"/guestmap_*.deb "$packages/guestmap_1_.deb"
        repack "$packages/guestmap_1_.deb" "$packages/guestmap_2_.deb" >"$log"
        cp "$one"/guestmap-dev_*.deb "$source"/{examples/hotplug.c,tests/package/inside.sh} \
                "$source/tests/system/steps.sh" "$packages"
        "$source/tests/system/boot.sh" "$directory/tree" 300 /opt/packages/inside.sh
}

for tool in dpkg-buildpackage dh lintian git; do
        command -v $tool >/dev/null || {
                echo "SKIP: $tool is not installed"
                exit 77
        }
done

it 'dpkg-buildpackage' build_packages "$one"
it 'dpkg-buildpackage, elsewhere and otherwise' build_packages_differently "$another"
it 'the same packages' same_packages
it 'ninja, elsewhere and otherwise' build_programs "$directory/programs"
it 'the same programs' same_programs "$directory/programs"
it 'lintian has nothing to say' lint
it 'the packages have what is installed' all_files
booted
result=$?
[ $result = 77 ] && echo 'ok - the packages, installed # SKIP see above' && result=0
[ $failed = 0 ] && exit $result
exit 1
