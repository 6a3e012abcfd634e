# Prints the kubeconfig of the cluster, which is there: what can be changed only by making another cluster is a trigger.
[ -n "$(nodes --filter "volume=$OWNER")" ] || { say "there is no cluster $CLUSTER of this stack"; exit 1; }
kind get kubeconfig --name "$CLUSTER"
