// Package pods runs pods as host processes: the provider that virtual-kubelet drives, and everything a kubelet does with a pod.
//
// It isolates nothing: no image, no mount, no cgroup, no network of its own. A pod that needs one of these is refused with a message.
package pods

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/errdefs"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"

	"servicefailover.dev/embedded/node/env"
	"servicefailover.dev/embedded/node/network"
	"servicefailover.dev/embedded/node/process"
)

// Provider is the set of pods of this node. All fields are required.
type Provider struct {
	Client      kubernetes.Interface
	Pods        corev1listers.PodLister
	Services    corev1listers.ServiceLister
	Recorder    record.EventRecorder
	Dialer      *network.Dialer
	Starter     *process.Starter
	Addresses   *network.Addresses
	Images      Images
	NodeAddress string
	APIServer   string // URL that pods reach the API server by
	CA          []byte // PEM
	StateDir    string
	Allocatable v1.ResourceList

	mu      sync.Mutex
	runners map[types.UID]*runner
	byName  map[types.NamespacedName]*runner
	closed  bool
}

// MarkPrefix is what the process marks of the pods below a state directory begin with.
func MarkPrefix(stateDir string) string { return stateDir + "|" }

func (p *Provider) markPrefix() string { return MarkPrefix(p.StateDir) }

func (p *Provider) podDir(uid types.UID) string {
	return filepath.Join(p.StateDir, "pods", string(uid))
}

// CreatePod starts a pod. Whatever hinders it is told in the pod's status, not as an error: virtual-kubelet gives up after some errors.
func (p *Provider) CreatePod(ctx context.Context, pod *v1.Pod) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.runners[pod.UID] != nil {
		return nil
	}
	if p.runners == nil {
		p.runners, p.byName = map[types.UID]*runner{}, map[types.NamespacedName]*runner{}
	}
	if before := p.byName[name(pod)]; before != nil { // the name was taken over: the object of the other is gone
		before.end(orphanGrace)
	}
	r := newRunner(p, pod)
	p.runners[pod.UID], p.byName[name(pod)] = r, r
	slog.Info("pod created", "pod", r.ref())
	go r.run()
	return nil
}

// UpdatePod takes a newer version of a pod.
func (p *Provider) UpdatePod(ctx context.Context, pod *v1.Pod) error {
	p.mu.Lock()
	r := p.runners[pod.UID]
	p.mu.Unlock()
	if r == nil {
		return p.CreatePod(ctx, pod)
	}
	r.update(pod)
	return nil
}

// DeletePod begins to stop a pod and returns. When its processes have ended the object is deleted.
func (p *Provider) DeletePod(ctx context.Context, pod *v1.Pod) error {
	p.mu.Lock()
	r := p.runners[pod.UID]
	p.mu.Unlock()
	if r == nil { // ended with an earlier agent
		if pod.DeletionTimestamp != nil {
			go func() { _ = p.remove(context.WithoutCancel(ctx), pod) }()
		}
		p.discard(pod.UID)
		return nil
	}
	grace := orphanGrace
	if pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds > 0 {
		grace = time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
	}
	r.end(grace)
	go p.forget(context.WithoutCancel(ctx), r, pod)
	return nil
}

// runs says whether the pod is here, be it that it is stopping.
func (p *Provider) runs(uid types.UID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runners[uid] != nil
}

// Gone is told about pods whose object no longer exists, however that became known.
func (p *Provider) Gone(ctx context.Context, uid types.UID) {
	p.mu.Lock()
	r := p.runners[uid]
	p.mu.Unlock()
	if r != nil {
		r.end(orphanGrace)
		go p.forget(context.WithoutCancel(ctx), r, nil)
	}
}

// forget waits for a pod's end and removes every trace of it; the object too, when one is given.
func (p *Provider) forget(ctx context.Context, r *runner, object *v1.Pod) {
	<-r.ended
	p.mu.Lock()
	known := p.runners[r.uid] == r
	delete(p.runners, r.uid)
	if pod := r.spec(); p.byName[name(pod)] == r {
		delete(p.byName, name(pod))
	}
	p.mu.Unlock()
	if !known { // another call does it
		return
	}
	p.discard(r.uid)
	if object != nil {
		_ = p.remove(ctx, object)
	}
	slog.Info("pod ended", "pod", r.ref())
}

func (p *Provider) discard(uid types.UID) {
	if err := p.Addresses.Release(string(uid)); err != nil {
		slog.Error("pod address not released", "error", err)
	}
	if err := os.RemoveAll(p.podDir(uid)); err != nil {
		slog.Error("pod directory not removed", "error", err)
	}
}

// CleanUp removes what is left of pods that the API no longer knows. To be called before any pod is created.
func (p *Provider) CleanUp(exists func(uid types.UID) bool) error {
	entries, err := os.ReadDir(filepath.Join(p.StateDir, "pods"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, entry := range entries {
		if !exists(types.UID(entry.Name())) {
			if err := os.RemoveAll(p.podDir(types.UID(entry.Name()))); err != nil {
				return err
			}
		}
	}
	return p.Addresses.Retain(func(owner string) bool { return exists(types.UID(owner)) })
}

// Shutdown stops every pod, their objects stay, and returns when all processes have ended. No pod is created after it.
func (p *Provider) Shutdown(grace time.Duration) {
	p.mu.Lock()
	p.closed = true
	runners := make([]*runner, 0, len(p.runners))
	for _, r := range p.runners {
		runners = append(runners, r)
	}
	p.mu.Unlock()
	for _, r := range runners {
		r.leave(min(grace, time.Duration(r.graceSeconds())*time.Second))
	}
	for _, r := range runners {
		<-r.ended
	}
}

// GetPod gives the pod of that name with its present status.
func (p *Provider) GetPod(_ context.Context, namespace, podName string) (*v1.Pod, error) {
	p.mu.Lock()
	r := p.byName[types.NamespacedName{Namespace: namespace, Name: podName}]
	p.mu.Unlock()
	if r == nil {
		return nil, errdefs.NotFoundf("pod %s/%s is not on this node", namespace, podName)
	}
	pod, facts := r.facts()
	pod = pod.DeepCopy()
	pod.Status = Status(pod, facts, metav1.Now())
	return pod, nil
}

// GetPodStatus gives the status of the pod of that name.
func (p *Provider) GetPodStatus(ctx context.Context, namespace, podName string) (*v1.PodStatus, error) {
	pod, err := p.GetPod(ctx, namespace, podName)
	if err != nil {
		return nil, err
	}
	return &pod.Status, nil
}

// GetPods gives every pod that runs here.
func (p *Provider) GetPods(ctx context.Context) ([]*v1.Pod, error) {
	p.mu.Lock()
	names := make([]types.NamespacedName, 0, len(p.byName))
	for n := range p.byName {
		names = append(names, n)
	}
	p.mu.Unlock()
	var out []*v1.Pod
	for _, n := range names {
		if pod, err := p.GetPod(ctx, n.Namespace, n.Name); err == nil {
			out = append(out, pod)
		}
	}
	return out, nil
}

// NotifyPods exists so that virtual-kubelet does not poll. Every pod writes its status itself, as a patch: virtual-kubelet would replace the whole
// object and undo labels and annotations that others set in the meantime.
func (p *Provider) NotifyPods(context.Context, func(*v1.Pod)) {}

// Secret and ConfigMap read what environments refer to, from the API each time: the node may read only what its pods name, so there is no watch.
func (p *Provider) Secret(ctx context.Context, namespace, name string) (*v1.Secret, error) {
	return patiently(ctx, func() (*v1.Secret, error) {
		return p.Client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	})
}

// ConfigMap is like Secret.
func (p *Provider) ConfigMap(ctx context.Context, namespace, name string) (*v1.ConfigMap, error) {
	return patiently(ctx, func() (*v1.ConfigMap, error) {
		return p.Client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	})
}

func (p *Provider) serviceEnv(pod *v1.Pod) (map[string]string, error) {
	var services []*v1.Service
	if pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks {
		var err error
		if services, err = p.Services.Services(pod.Namespace).List(labels.Everything()); err != nil {
			return nil, err
		}
	}
	out := env.Services(services, p.Dialer.Mapping().RealiseText)
	host, port, err := hostPort(p.APIServer)
	out["KUBERNETES_SERVICE_HOST"], out["KUBERNETES_SERVICE_PORT"], out["KUBERNETES_SERVICE_PORT_HTTPS"] = host, port, port
	return out, err
}

func name(pod *v1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
}
