#!/usr/bin/env bash
# Real Neovims for the tests, on any Debian or Ubuntu with apt; the system stays as it is, root is not needed.
# Usage: fetch_neovim.sh FOLDER        makes FOLDER/nvim-0.12 and FOLDER/nvim-0.10
#
# Debian's packages of two suites and the libraries under them are unpacked side by side. They are started
# by their own loader, so they never meet the system's libraries.
set -euo pipefail
folder=$(realpath -m "${1:?usage: fetch_neovim.sh FOLDER}")
mirror=$(grep -hoE '^(URIs:|deb )[^#]*https?://[^ ]+' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
         grep -oE 'https?://[^ ]+' | grep -v security | head -1 || true)
case $mirror in */debian | */debian/) ;; *) mirror=http://deb.debian.org/debian ;; esac
keyring=$(ls /usr/share/keyrings/debian-archive-keyring.* 2>/dev/null | head -1 || true)
[ -n "$keyring" ] || { echo "Debian's keys are missing: apt install debian-archive-keyring" >&2; exit 1; }

fetch() { # fetch VERSION SUITE
  local version=$1 work=$folder/$1 root=$folder/$1/root
  [ -x "$folder/nvim-$version" ] && return
  rm -rf "$work" && mkdir -p "$work"/{lists,archives}/partial "$root"
  touch "$work/status"
  echo "deb [signed-by=$keyring] $mirror $2 main" >"$work/sources.list"
  local apt=(apt-get -qq -o Acquire::Retries=3 -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)"
             -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
             -o Dir::State="$work" -o Dir::State::status="$work/status" -o Dir::State::lists="$work/lists"
             -o Dir::Cache="$work" -o Dir::Cache::archives="$work/archives")
  echo "Neovim $version from Debian $2"
  "${apt[@]}" update
  "${apt[@]}" -y --no-install-recommends --download-only install neovim >/dev/null
  for package in "$work"/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
  rm -rf "$work"/{lists,archives} "$work"/*.bin
  local loader
  loader=$(find "$root" -name 'ld-linux-*.so.*' | head -1)
  cat >"$folder/nvim-$version.part" <<WRAPPER
#!/bin/sh
export VIMRUNTIME=$root/usr/share/nvim/runtime
exec $loader --library-path "$(dirname "$(find "$root" -name 'libluajit-5.1.so.2' | head -1)"):$(dirname "$loader")" $root/usr/bin/nvim "\$@"
WRAPPER
  chmod +x "$folder/nvim-$version.part"
  local found
  found=$("$folder/nvim-$version.part" --version | head -1)
  case $found in
    "NVIM v$version."*) mv "$folder/nvim-$version.part" "$folder/nvim-$version" ;;
    *) echo "Debian $2 has $found, not $version" >&2; exit 1 ;;
  esac
}

mkdir -p "$folder"
fetch 0.12 forky
fetch 0.10 trixie
