package env

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Field resolves a fieldRef. Addresses come out realised, since a process can only listen on and connect to those.
func Field(pod *v1.Pod, path string, realise func(string) string) (string, error) {
	if name, key, ok := subscript(path); ok {
		switch name {
		case "metadata.labels":
			return pod.Labels[key], nil
		case "metadata.annotations":
			return pod.Annotations[key], nil
		}
	}
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "metadata.labels":
		return formatMap(pod.Labels), nil
	case "metadata.annotations":
		return formatMap(pod.Annotations), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		return realise(pod.Status.HostIP), nil
	case "status.podIP", "status.podIPs":
		return realise(pod.Status.PodIP), nil
	}
	return "", fmt.Errorf("fieldRef: fieldPath %q is not supported", path)
}

func subscript(path string) (name, key string, ok bool) {
	name, rest, found := strings.Cut(path, "['")
	if !found || !strings.HasSuffix(rest, "']") {
		return "", "", false
	}
	return name, strings.TrimSuffix(rest, "']"), true
}

func formatMap(values map[string]string) string {
	lines := make([]string, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		lines = append(lines, fmt.Sprintf("%s=%q", key, values[key]))
	}
	return strings.Join(lines, "\n")
}

// Resource resolves a resourceFieldRef. A limit that is not set is the node's allocatable amount, a request that is not set is 0; the result is
// rounded up to whole divisors. Limits are told to the process, not enforced: there is no cgroup around it.
func Resource(pod *v1.Pod, container *v1.Container, ref *v1.ResourceFieldSelector, allocatable v1.ResourceList) (string, error) {
	if ref.ContainerName != "" {
		found := slices.IndexFunc(pod.Spec.Containers, func(c v1.Container) bool { return c.Name == ref.ContainerName })
		if found < 0 {
			return "", fmt.Errorf("resourceFieldRef: containerName %q: the pod has no such container", ref.ContainerName)
		}
		container = &pod.Spec.Containers[found]
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	var amount resource.Quantity
	switch kind {
	case "limits":
		var set bool
		if amount, set = container.Resources.Limits[v1.ResourceName(name)]; !set {
			amount = allocatable[v1.ResourceName(name)]
		}
	case "requests":
		amount = container.Resources.Requests[v1.ResourceName(name)]
	default:
		return "", fmt.Errorf("resourceFieldRef: resource %q: want limits.<name> or requests.<name>", ref.Resource)
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	if name == string(v1.ResourceCPU) {
		return strconv.FormatInt(divideUp(amount.MilliValue(), divisor.MilliValue()), 10), nil
	}
	return strconv.FormatInt(divideUp(amount.Value(), divisor.Value()), 10), nil
}

func divideUp(amount, by int64) int64 {
	return int64(math.Ceil(float64(amount) / float64(by)))
}
