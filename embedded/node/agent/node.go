package agent

import (
	"context"
	"runtime"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/node"
	"github.com/virtual-kubelet/virtual-kubelet/node/nodeutil"
	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/version"
)

// nodeObject is the node as this agent registers it: Ready, without a taint, with the port of the agent's server.
func nodeObject(c *Config) *v1.Node {
	now := metav1.Now()
	labels := map[string]string{
		v1.LabelHostname: c.NodeName, v1.LabelOSStable: runtime.GOOS, v1.LabelArchStable: runtime.GOARCH,
	}
	for name, value := range c.Labels {
		labels[name] = value
	}
	condition := func(kind v1.NodeConditionType, status v1.ConditionStatus, reason, message string) v1.NodeCondition {
		return v1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: c.NodeName, Labels: labels},
		Status: v1.NodeStatus{
			Capacity:    c.capacity,
			Allocatable: c.capacity,
			Addresses: []v1.NodeAddress{
				{Type: v1.NodeInternalIP, Address: c.NodeAddress},
				{Type: v1.NodeHostName, Address: c.NodeName},
			},
			DaemonEndpoints: v1.NodeDaemonEndpoints{KubeletEndpoint: v1.DaemonEndpoint{Port: int32(c.listen.Port())}},
			Conditions: []v1.NodeCondition{
				condition(v1.NodeReady, v1.ConditionTrue, "KubeletReady", "the node agent runs pods as host processes"),
				condition(v1.NodeMemoryPressure, v1.ConditionFalse, "KubeletHasSufficientMemory", "not measured"),
				condition(v1.NodeDiskPressure, v1.ConditionFalse, "KubeletHasNoDiskPressure", "not measured"),
				condition(v1.NodePIDPressure, v1.ConditionFalse, "KubeletHasSufficientPID", "not measured"),
				condition(v1.NodeNetworkUnavailable, v1.ConditionFalse, "RouteCreated", "pods have loopback addresses"),
			},
			NodeInfo: v1.NodeSystemInfo{
				KubeletVersion: version.Get().GitVersion, OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH,
				ContainerRuntimeVersion: "process://1", OSImage: "host processes", KernelVersion: kernelVersion(),
			},
		},
	}
}

func kernelVersion() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}

// keepRegistered registers the node and renews its lease until the context ends. Where virtual-kubelet's controller gives up (the API server went
// away while it registered), a new one takes over.
func keepRegistered(ctx context.Context, client kubernetes.Interface, c *Config, onError func(error)) {
	for ctx.Err() == nil {
		controller, err := node.NewNodeController(node.NaiveNodeProvider{}, nodeObject(c), client.CoreV1().Nodes(),
			node.WithNodeEnableLeaseV1(nodeutil.NodeLeaseV1Client(client), node.DefaultLeaseDuration))
		if err == nil {
			err = controller.Run(ctx)
		}
		if err != nil && ctx.Err() == nil {
			onError(err)
		}
		sleep(ctx, 200*time.Millisecond)
	}
}

func sleep(ctx context.Context, duration time.Duration) {
	select {
	case <-time.After(duration):
	case <-ctx.Done():
	}
}
