package pods

import (
	"fmt"
	"path/filepath"
	"slices"

	v1 "k8s.io/api/core/v1"
)

// report marks the status as changed.
func (r *runner) report() {
	select {
	case r.dirty <- struct{}{}:
	default:
	}
}

// facts gathers what Status needs.
func (r *runner) facts() (*v1.Pod, Facts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	facts := Facts{
		Address: r.ip, NodeAddress: r.provider.NodeAddress, Started: r.started, Initialized: r.initialized, Stopped: r.stopped,
		Leaving: r.leaving, Reason: r.reason, Message: r.message,
	}
	for _, c := range r.inits {
		facts.Init = append(facts.Init, *c.status.DeepCopy())
	}
	for _, c := range r.mains {
		facts.Main = append(facts.Main, *c.status.DeepCopy())
	}
	return r.pod, facts
}

func (r *runner) spec() *v1.Pod {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pod
}

// addressed is the pod with its addresses, for fieldRefs.
func (r *runner) addressed() *v1.Pod {
	pod := r.spec().DeepCopy()
	pod.Status.PodIP, pod.Status.HostIP = r.address(), r.provider.NodeAddress
	return pod
}

func (r *runner) address() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ip
}

func (r *runner) isLeaving() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leaving
}

func (r *runner) graceSeconds() int64 {
	if seconds := r.spec().Spec.TerminationGracePeriodSeconds; seconds != nil {
		return *seconds
	}
	return v1.DefaultTerminationGracePeriodSeconds
}

func (r *runner) ref() string {
	pod := r.spec()
	return fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID)
}

func (r *runner) all() []*container { return slices.Concat(r.inits, r.mains) }

func (r *runner) kubeconfig() string { return filepath.Join(r.dir, "kubeconfig") }

func (r *runner) logDir(container string) string { return filepath.Join(r.dir, "logs", container) }

func (r *runner) mark(container string, number int) string {
	return fmt.Sprintf("%s%s/%s/%d", r.provider.markPrefix(), r.uid, container, number)
}

// find gives the running container of a name.
func (r *runner) find(name string) (*container, *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.all() {
		if c.name == name {
			return c, c.current
		}
	}
	return nil, nil
}
