#!/bin/bash
# bases.sh [--install] [NAME...]: makes the stand-in base images nanoforge-standin/NAME in the daemon that DOCKER_HOST names,
# from Debian's packages, pyenv's Python 3.6 and PyPI, without a container registry.
# NAME: data, train, train-build, jetson, cuda; none means all. --install gets what is missing here with apt-get (as root).
# An image is made again only if what it is made from changed; its label nanoforge.standin.recipe says from what it was made.
set -euo pipefail

release=bookworm
cache=${NANOFORGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nanoforge}/standin
certificates=/etc/ssl/certs/ca-certificates.crt
binfmt=/proc/sys/fs/binfmt_misc
export DOCKER_BUILDKIT=0    # buildx is not everywhere, and the classic builder keeps to --platform for FROM scratch

say() {
    echo "[${SECONDS} s] $*" >&2
}

fail() {
    echo "bases.sh: $*" >&2
    exit 3
}

# --- what is needed

install_missing() {
    dpkg -s mmdebstrap qemu-user-static >/dev/null 2>&1 && return
    say "installing mmdebstrap and qemu-user-static"
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap qemu-user-static >"$cache/apt.log" 2>&1 \
        || fail "apt-get could not install them; log: $cache/apt.log"
}

check_machine() {
    docker version >/dev/null 2>&1 \
        || fail "no Docker daemon answers at ${DOCKER_HOST:-the default socket}; start one, for instance with docker/standin/daemon.sh"
    command -v mmdebstrap >/dev/null \
        || fail "mmdebstrap is missing; run with --install, or: apt install --no-install-recommends mmdebstrap qemu-user-static"
    [ -n "$sources" ] || fail "/etc/apt names no source of Debian $release"
}

# The machine's own apt sources, so that a mirror that is near or allowed here is the one that is used.
debian_sources() {
    local file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        if grep -Eqs "^[^#]*[[:space:]]$release([[:space:]]|$)" "$file" && grep -Eqs "^[^#]*[[:space:]]main([[:space:]]|$)" "$file"; then
            echo "$file"
        fi
    done
}

# Lets the kernel run arm64 programs through qemu, in containers too: flag F opens qemu once, out here.
register_arm64() {
    [ -e $binfmt/register ] || mount -t binfmt_misc binfmt_misc $binfmt || fail "binfmt_misc cannot be mounted; run this once as root"
    [ -e $binfmt/qemu-aarch64 ] && return
    [ -e /usr/lib/binfmt.d/qemu-aarch64.conf ] \
        || fail "qemu for arm64 is missing; run with --install, or: apt install --no-install-recommends qemu-user-static"
    cat /usr/lib/binfmt.d/qemu-aarch64.conf >$binfmt/register || fail "arm64 programs cannot be registered; run this once as root"
}

python36() {
    local folder
    folder=$(find "${PYENV_ROOT:-$HOME/.pyenv}/versions" -maxdepth 1 -name '3.6.*' 2>/dev/null | sort -V | tail -n 1)
    [ -n "$folder" ] || fail "pyenv has no Python 3.6; make one with: pyenv install 3.6.15"
    echo "$folder"
}

# --- making an image

# rootfs ARCHITECTURE HOOK VARIANT PACKAGES: Debian as $context/rootfs.tar. The HOOK options are of mmdebstrap.
rootfs() {
    local architecture=$1 hook=$2 variant=$3 packages=$4
    [ -e "$context/rootfs.tar" ] && return
    say "$name: Debian $release for $architecture"
    # shellcheck disable=SC2016,SC2086  # $1 is the hook's; sources is a list of files
    nice -n 5 mmdebstrap --quiet --architectures="$architecture" --variant="$variant" --include="$packages" \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --"$hook"='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED; ln -sf python3 "$1/usr/bin/python"' \
        --"$hook"="$(trust)" "${@:5}" "$release" "$context/unfinished.tar" $sources >"$context/log" 2>&1 \
        || { tail -n 5 "$context/log" >&2; fail "mmdebstrap failed; log: $context/log"; }
    mv "$context/unfinished.tar" "$context/rootfs.tar"
}

# Whoever the machine trusts, as a company's proxy, its containers have to trust. That belongs here, not into the project's Dockerfiles.
trust() {
    [ -e $certificates ] || return 0
    # shellcheck disable=SC2016,SC2028  # $1 and \n are the hook's
    echo 'mkdir -p "$1/etc/ssl/certs"; cp '$certificates' "$1/etc/ssl/certs/";' \
        'printf "[global]\ncert = '$certificates'\ndisable-pip-version-check = true\n" >"$1/etc/pip.conf"'
}

# build SENTENCE [OPTIONS]: the image $tag from $context and the Dockerfile on standard input; SENTENCE says what it stands in for.
build() {
    say "$name: the image"
    cat >"$context/Dockerfile"
    docker build --tag "$tag" --label "nanoforge.standin=$1" --label "nanoforge.standin.recipe=$recipe" "${@:2}" "$context" \
        >"$context/log" 2>&1 || { tail -n 5 "$context/log" >&2; fail "the image $tag cannot be built; log: $context/log"; }
}

# Everything that decides what the image $name is: the code that makes it, and what of this machine goes into it.
ingredients() {
    declare -f "$name" rootfs trust build
    # shellcheck disable=SC2086  # a list of files
    cat $sources
    cat $certificates 2>/dev/null || true
    case $name in
        train) docker image inspect --format '{{.Id}}' nanoforge-standin/data:bookworm
               find "$python" -type f ! -name '*.pyc' ! -path '*/site-packages/*' -printf '%P %s %T@\n' | sort ;;
        train-build) docker image inspect --format '{{.Id}}' nanoforge-standin/train:bookworm ;;
    esac
}

# make NAME: the image, and first the one that it is built on. Sets what its function and those above use.
make() {
    case $1 in
        train) make data; python=$(python36) ;;
        train-build) make train ;;
        jetson) register_arm64 ;;    # each time: a reboot forgets it, and the image stays
    esac
    name=$1
    tag=nanoforge-standin/$name:bookworm
    [ "$name" != cuda ] || tag=nanoforge-standin/cuda:stub
    recipe=$(ingredients | sha256sum | cut -c1-16)
    context=$cache/$name-$recipe
    if [ "$(docker image inspect --format '{{index .Config.Labels "nanoforge.standin.recipe"}}' "$tag" 2>/dev/null)" != "$recipe" ]; then
        [ -d "$context" ] || rm -rf "$cache/$name"-????????????????
        mkdir -p "$context"
        "$name"
    fi
}

# --- the images

# The libraries after python3-venv are those of Python's standard library that train's Python 3.6 needs.
data() {
    rootfs amd64 customize-hook apt "ca-certificates,python3,python3-pip,python3-venv,\
libbz2-1.0,libexpat1,libffi8,libgomp1,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3,libtinfo6,libuuid1,zlib1g"
    build "Debian's Python 3.11; stands in for python:3.x-slim" <<'END'
FROM scratch
ADD rootfs.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
CMD ["python3"]
END
}

# pyenv's Python finds its files from where it lies, so it can be moved to where python:3.6-slim has it; only texts name the old
# place. Its site-packages are the machine's, so pip comes anew.
train() {
    mkdir -p "$context/python"
    tar --create --directory "$python" --exclude=__pycache__ --exclude='lib/python3.6/test' --exclude='lib/python3.6/config-*' \
        --exclude='lib/python3.6/site-packages/*' --exclude='bin/pip*' --exclude='bin/easy_install*' --exclude='*.a' --exclude=share . \
        | tar --extract --directory "$context/python"
    grep -rlI "$python" "$context/python" | xargs -r sed -i "s#$python#/usr/local#g"
    ln -sf python3.6 "$context/python/bin/python"
    # The same bytes for the same Python: the daemon then finds the layers that it has already.
    tar --create --directory "$context/python" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --file "$context/python.tar" .
    rm -r "$context/python"
    build "Debian with pyenv's Python 3.6; stands in for python:3.6-slim" <<'END'
FROM nanoforge-standin/data:bookworm
ADD python.tar /usr/local/
RUN ldconfig \
    && python3 -m ensurepip --default-pip \
    && python3 -c "import bz2, ctypes, curses, lzma, readline, sqlite3, ssl, sys; assert sys.version_info[:2] == (3, 6)"
END
    rm "$context/python.tar"
}

train-build() {
    build "Debian with pyenv's Python 3.6 and a C compiler; stands in for python:3.6" <<'END'
FROM nanoforge-standin/train:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && apt-get clean && rm -rf /var/lib/apt/lists/*
END
}

# Unpacked, but not configured: that would take minutes under emulation, and Python does not need it. So there is no apt and no
# dpkg in it. base-passwd's files become /etc/passwd and /etc/group; passwd and login bring useradd and what it reads.
# OpenBLAS picks by itself a kernel that qemu runs a thousand times slower; the real board is an ARMV8 as well.
jetson() {
    # shellcheck disable=SC2016  # $1 is the hook's
    rootfs arm64 extract-hook extract "base-files,base-passwd,bash,coreutils,dash,findutils,grep,gzip,hostname,libc-bin,login,passwd,sed,tar,\
ca-certificates,libgcc-s1,libstdc++6,python3,python3-pip,zlib1g" \
        --extract-hook='cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd"; cp "$1/usr/share/base-passwd/group.master" "$1/etc/group"' \
        --extract-hook='mkdir -p "$1/root" "$1/tmp"; chmod 1777 "$1/tmp"; ln -sf dash "$1/bin/sh"'
    build "Debian for arm64 with numpy and OpenCV from PyPI; stands in for l4t-base, where both come from JetPack" \
        --platform linux/arm64 <<'END'
FROM scratch
ADD rootfs.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 OPENBLAS_CORETYPE=ARMV8
RUN python3 -m pip install --no-cache-dir numpy==1.26.4 opencv-python-headless==4.10.0.84 && python3 -c "import cv2"
CMD ["python3"]
END
}

# Empty files under the names that the GPU image copies: they show that the copies work, and nothing more.
cuda() {
    local libraries=$context/usr/local/cuda-9.0/targets/x86_64-linux/lib profiler=$context/usr/local/cuda-9.0/extras/CUPTI/lib64
    mkdir -p "$libraries" "$profiler" "$context/usr/lib/x86_64-linux-gnu"
    touch "$libraries"/lib{cublas,cudart,cufft,curand,cusolver,cusparse}.so.9.0 "$profiler/libcupti.so.9.0" \
        "$context/usr/lib/x86_64-linux-gnu/libcudnn.so.7"
    build "Empty files named as CUDA 9.0's libraries; stands in for tensorflow/tensorflow:1.12.0-gpu-py3 as a place to copy from" <<'END'
FROM scratch
COPY usr /usr
END
}

# --- main

install=
[ "${1:-}" != --install ] || { install=yes; shift; }
for name in "$@"; do
    case $name in
        data | train | train-build | jetson | cuda) ;;
        *) echo "usage: bases.sh [--install] [data|train|train-build|jetson|cuda ...]" >&2; exit 2 ;;
    esac
done
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9    # two of these at once would write the same files
sources=$(debian_sources)
[ -z "$install" ] || install_missing
check_machine
[ $# -gt 0 ] || set -- data train train-build jetson cuda
for image in "$@"; do
    make "$image"
    say "$tag is there"
done
