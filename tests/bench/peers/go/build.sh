#!/usr/bin/env bash
# Builds the Go peer of relais_bench where the benchmark looks for it:
#   tests/bench/peers/go/build.sh [FOLDER]     default: build/release/tests/bench/peers/go
# Needs go, protoc and, the first time, the Go module proxy.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../../../.." && pwd)"
out="${1:-$root/build/release/tests/bench/peers/go}"
googleapis=/usr/share/gocode/src/github.com/gogo/googleapis
export PATH="$out/bin:$PATH:/usr/local/go/bin:/usr/lib/go/bin"

mkdir -p "$out/bin" "$out/src"
[ -x "$out/bin/protoc-gen-go" ] ||
  GOBIN="$out/bin" go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.34.1
[ -x "$out/bin/protoc-gen-go-grpc" ] ||
  GOBIN="$out/bin" go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.4.0

cp "$here"/main.go "$here"/go.mod "$here"/go.sum "$out/src/"

protos=(consent lead lead_service options touchpoint)
options=()
files=()
for proto in "${protos[@]}"; do
  files+=("relais/v1/$proto.proto")
  options+=("--go_opt=Mrelais/v1/$proto.proto=relais.example/peer/relaisv1"
    "--go-grpc_opt=Mrelais/v1/$proto.proto=relais.example/peer/relaisv1")
done
for plugin in go go-grpc; do
  options+=("--${plugin}_opt=module=relais.example/peer"
    "--${plugin}_opt=Mgoogle/type/money.proto=google.golang.org/genproto/googleapis/type/money"
    "--${plugin}_opt=Mgoogle/rpc/status.proto=google.golang.org/genproto/googleapis/rpc/status")
done
protoc -I "$root/proto" -I "$googleapis" "--go_out=$out/src" "--go-grpc_out=$out/src" \
  "${options[@]}" "${files[@]}"
cd "$out/src"
go build -o "$out/go_peer" .
echo "built $out/go_peer"
