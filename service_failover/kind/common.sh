# Before each of the scripts beside it. POSIX sh. Variables: CLUSTER (as kind calls it), OWNER and GENERATION (paths of its marks, see document.py).
set -eu
umask 077

# What is said goes to the user; stdout is for the kubeconfig.
say() { printf '%s\n' "$*" >&2; }

for tool in docker kind; do
  command -v "$tool" >/dev/null || { say "$tool is not on PATH. How to get it: docs/kind.md"; exit 1; }
done

# IDs of the nodes of the cluster that pass the filters. Where the docker daemon is dead this fails, and with it whoever asks.
nodes() { docker ps --all --quiet --no-trunc --filter "label=io.x-k8s.kind.cluster=$CLUSTER" "$@"; }

# kind insists on writing a kubeconfig: into a directory of this run, never into the user's own file.
private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
