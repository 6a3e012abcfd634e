# Makes the cluster that the document on stdin describes, from IMAGE, and prints its kubeconfig. However it ends, it leaves a whole cluster or none.
there=$(nodes)
ours=$(nodes --filter "volume=$OWNER")
if [ "$there" != "$ours" ]; then
  say "a kind cluster $CLUSTER is there already, and this stack did not make it: it is left alone."
  say "Remove it (kind delete cluster --name $CLUSTER), or choose other names: pulumi config set --path kind.clusterPrefix <prefix>"
  exit 1
fi

made=no
finish() {
  status=$?
  trap '' INT TERM
  if [ "$made" = no ]; then
    # By its generation: a cluster of the same name that somebody else makes at the same time is not touched. Whoever is interrupted may have asked
    # docker for a container that comes a moment later, and cannot be removed before: so it looks until there was nothing twice.
    looks=0 nothing=0 half=
    while [ "$nothing" -lt 2 ] && [ "$looks" -lt 10 ]; do
      [ "$looks" = 0 ] || sleep 0.5
      looks=$((looks + 1))
      half=$(nodes --filter "volume=$GENERATION") || break
      # shellcheck disable=SC2086 # one word for each node
      if [ -z "$half" ]; then nothing=$((nothing + 1)); else docker rm --force --volumes $half >/dev/null 2>&1 || nothing=0; fi
    done
    [ -z "$half" ] || say "a half-made cluster $CLUSTER is left; the next run removes it"
  fi
  rm -rf "$private"
  exit "$status"
}
trap finish EXIT

if [ -n "$ours" ]; then
  say "$CLUSTER: there is one from a run that did not finish; it is made anew"
  kind delete cluster --name "$CLUSTER" --kubeconfig "$private/kubeconfig" >"$private/log" 2>&1 || { cat "$private/log" >&2; exit 1; }
fi
say "$CLUSTER: being made from $IMAGE, which is pulled if it is not here"
begun=$(date +%s)
kind create cluster --name "$CLUSTER" --image "$IMAGE" --config - --kubeconfig "$private/kubeconfig" >"$private/log" 2>&1 ||
  { cat "$private/log" >&2; exit 1; }
docker exec "$CLUSTER-control-plane" touch /kind/service-failover/made >&2
cat "$private/kubeconfig"
made=yes
say "$CLUSTER: made in $(($(date +%s) - begun)) s"
