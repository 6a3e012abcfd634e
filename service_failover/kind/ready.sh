# Waits until the node of the cluster is Ready, for ALLOWED (such as 180s) at most. kind's own --wait only warns.
docker exec "$CLUSTER-control-plane" kubectl --kubeconfig=/etc/kubernetes/admin.conf \
  wait --for=condition=Ready node --all --timeout="$ALLOWED" >"$private/log" 2>&1 || {
  cat "$private/log" >&2
  say "$CLUSTER is not ready within $ALLOWED. See why: kind export logs --name $CLUSTER"
  say "Then the same again goes on from here. To make the cluster anew: kind delete cluster --name $CLUSTER"
  exit 1
}
