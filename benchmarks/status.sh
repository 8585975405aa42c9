#!/bin/sh
# How long `status` takes on a dataset of 50,000 files, warm. Usage: benchmarks/status.sh
set -eu
home=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/photos/JPEGImages" "$folder/photos/Annotations"
cd "$folder/photos"
seq -f '%06g' 25000 | while read -r name; do
    echo "pixels of $name" >"JPEGImages/$name.jpg"
    echo "boxes of $name" >"Annotations/$name.xml"
done
printf '[dataset]\nphotos = "photos/JPEGImages"\nclasses = ["thing"]\n' >"$folder/detector.toml"
cd "$folder"
sleep 3 # files younger than two seconds are read again each time
"$home/run" status >/dev/null
for _ in 1 2 3 4 5; do
    start=$(date +%s%N)
    "$home/run" status >/dev/null
    echo "$((($(date +%s%N) - start) / 1000000)) ms"
done
