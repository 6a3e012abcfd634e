# Deletes the cluster if it is this stack's. What was deleted by hand is gone already; what somebody else has made since then is left alone.
there=$(nodes)
ours=$(nodes --filter "volume=$OWNER")
if [ -z "$there" ]; then
  say "$CLUSTER: gone already"
elif [ "$there" != "$ours" ]; then
  say "$CLUSTER: not this stack's any more; somebody else made it, and it is left alone"
else
  kind delete cluster --name "$CLUSTER" --kubeconfig "$private/kubeconfig" >"$private/log" 2>&1 || { cat "$private/log" >&2; exit 1; }
  say "$CLUSTER: deleted"
fi
