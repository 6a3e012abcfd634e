package pods

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// orphanGrace is what a pod gets whose object is already gone.
const orphanGrace = 2 * time.Second

// runner is one pod on this node, from its creation here until its processes have ended and the API knows.
type runner struct {
	provider *Provider
	uid      types.UID
	dir      string

	stopContext context.Context // ends when the pod is to stop
	stop        context.CancelFunc
	killNow     chan struct{} // closed when the grace period is over
	killOnce    sync.Once
	ended       chan struct{} // closed when the last process has ended and the last status is out
	dirty       chan struct{} // the status changed

	mu          sync.Mutex
	pod         *v1.Pod
	ip          string
	started     metav1.Time
	inits       []*container
	mains       []*container
	initialized bool
	stopped     bool
	leaving     bool // the agent ends, the pod does not: it will be started again
	reason      string
	message     string
}

func newRunner(provider *Provider, pod *v1.Pod) *runner {
	stopContext, stop := context.WithCancel(context.Background())
	r := &runner{
		provider: provider, uid: pod.UID, dir: provider.podDir(pod.UID), pod: pod, started: metav1.Now(),
		stopContext: stopContext, stop: stop,
		killNow: make(chan struct{}), ended: make(chan struct{}), dirty: make(chan struct{}, 1),
	}
	if pod.Status.StartTime != nil {
		r.started = *pod.Status.StartTime
	}
	for i := range pod.Spec.InitContainers {
		r.inits = append(r.inits, newContainer(r, &pod.Spec.InitContainers[i], true))
	}
	for i := range pod.Spec.Containers {
		r.mains = append(r.mains, newContainer(r, &pod.Spec.Containers[i], false))
	}
	for _, c := range r.all() {
		for _, before := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if before.Name == c.name {
				c.resume(&before)
			}
		}
	}
	return r
}

// run is the pod's life. It returns when every process has ended; the status writer goes on until the final status is written.
func (r *runner) run() {
	defer close(r.ended)
	reporting, stopReporting := context.WithCancel(context.Background())
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		r.writeStatus(reporting)
	}()
	r.live()
	r.mu.Lock()
	r.stopped = !r.leaving && (r.stopContext.Err() != nil || r.reason != "")
	if r.stopped {
		r.settle()
	}
	r.mu.Unlock()
	r.report()
	stopReporting()
	<-reported
}

func (r *runner) live() {
	if problem := Unsupported(r.spec()); problem != "" {
		r.refuse("CreateContainerConfigError", problem)
		return
	}
	if err := r.prepare(); err != nil {
		r.refuse("CreateContainerError", err.Error())
		return
	}
	r.report()
	if !r.credentials(r.stopContext) {
		return
	}
	if seconds := r.spec().Spec.ActiveDeadlineSeconds; seconds != nil {
		timer := time.AfterFunc(time.Until(r.started.Add(time.Duration(*seconds)*time.Second)), func() {
			r.fail("DeadlineExceeded", fmt.Sprintf("Pod was active on the node longer than the specified deadline of %d s", *seconds))
		})
		defer timer.Stop()
	}
	// Sidecars outlive the other containers: they stop when the mains have.
	sidecars, stopSidecars := context.WithCancel(context.Background())
	var background sync.WaitGroup
	defer background.Wait()
	defer stopSidecars()
	if !r.initialize(sidecars, &background) {
		return
	}
	r.mu.Lock()
	r.initialized = true
	r.mu.Unlock()
	r.report()
	var mains sync.WaitGroup
	for _, c := range r.mains {
		if !c.finished() {
			mains.Go(func() { c.loop(r.stopContext) })
		}
	}
	mains.Wait()
}

// initialize runs the init containers in order; false means that the pod does not come to its main containers.
func (r *runner) initialize(sidecars context.Context, background *sync.WaitGroup) bool {
	for _, c := range r.inits {
		if c.sidecar {
			background.Go(func() { c.loop(sidecars) })
			if !r.waitStarted(c) {
				return false
			}
			continue
		}
		if !c.loop(r.stopContext) {
			return false
		}
	}
	return r.stopContext.Err() == nil
}

func (r *runner) waitStarted(c *container) bool {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		r.mu.Lock()
		started := c.status.Started != nil && *c.status.Started
		r.mu.Unlock()
		if started {
			return true
		}
		select {
		case <-ticker.C:
		case <-r.stopContext.Done():
			return false
		}
	}
}

func (r *runner) prepare() error {
	for _, directory := range []string{r.dir, filepath.Join(r.dir, "tmp")} {
		if err := os.MkdirAll(directory, 0o700); err != nil {
			return err
		}
	}
	address := r.provider.NodeAddress
	if !r.spec().Spec.HostNetwork {
		acquired, err := r.provider.Addresses.Acquire(string(r.uid))
		if err != nil {
			return err
		}
		address = acquired.String()
	}
	r.mu.Lock()
	r.ip = address
	r.mu.Unlock()
	return nil
}

// refuse reports why the pod cannot run here and waits for its deletion: failing it would make its controller create another at once, for ever.
func (r *runner) refuse(reason, message string) {
	for _, c := range r.all() {
		c.wait(reason, message)
	}
	r.provider.Recorder.Event(r.spec(), v1.EventTypeWarning, reason, message)
	<-r.stopContext.Done()
}

// fail ends the whole pod.
func (r *runner) fail(reason, message string) {
	r.mu.Lock()
	r.reason, r.message = reason, message
	r.mu.Unlock()
	r.provider.Recorder.Event(r.spec(), v1.EventTypeWarning, reason, message)
	r.end(time.Duration(r.graceSeconds()) * time.Second)
}

// end tells the pod to stop and to be gone after the grace period. A later call can only shorten it.
func (r *runner) end(grace time.Duration) {
	r.stop()
	time.AfterFunc(grace, func() { r.killOnce.Do(func() { close(r.killNow) }) })
}

// leave ends the processes and says nothing of it to the API.
func (r *runner) leave(grace time.Duration) {
	r.mu.Lock()
	r.leaving = true
	r.mu.Unlock()
	r.end(grace)
}

// settle gives containers that were waiting to start again the state of their last end: nothing will change it any more.
func (r *runner) settle() {
	for _, c := range r.all() {
		if last := c.status.LastTerminationState.Terminated; c.status.State.Waiting != nil && last != nil {
			c.status.State = v1.ContainerState{Terminated: last}
		}
		if !c.init {
			c.status.Ready = false
		}
	}
}

// update takes a newer version of the object.
func (r *runner) update(pod *v1.Pod) {
	r.mu.Lock()
	before := r.pod
	r.pod = pod
	r.mu.Unlock()
	images := map[string]string{}
	for _, spec := range slices.Concat(before.Spec.InitContainers, before.Spec.Containers) {
		images[spec.Name] = spec.Image
	}
	for _, c := range r.all() {
		if c.spec().Image != images[c.name] {
			c.replaceDefinition()
		}
	}
	r.report()
}
