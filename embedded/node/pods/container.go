package pods

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"servicefailover.dev/embedded/node/logs"
)

// Pauses between attempts to make a container's environment (a Secret that does not exist yet may appear soon).
const (
	configRetryFirst = 200 * time.Millisecond
	configRetryMax   = 5 * time.Second
)

// startFailedCode is the exit code that container runtimes give a program that could not be started.
const startFailedCode = 128

// container runs one container of a pod, again and again as its policy says. Fields below mu are guarded by the pod's mutex.
type container struct {
	pod     *runner
	name    string
	init    bool
	sidecar bool // an init container that keeps running
	changed chan struct{}
	backoff Backoff

	// guarded by pod.mu
	status  v1.ContainerStatus
	current *run
	starts  int32 // the restart count that the next start has
}

func newContainer(pod *runner, spec *v1.Container, init bool) *container {
	c := &container{pod: pod, name: spec.Name, init: init, changed: make(chan struct{}, 1)}
	c.sidecar = init && spec.RestartPolicy != nil && *spec.RestartPolicy == v1.ContainerRestartPolicyAlways
	c.status = v1.ContainerStatus{Name: spec.Name, Image: spec.Image, Started: new(bool)}
	c.status.State.Waiting = &v1.ContainerStateWaiting{Reason: "ContainerCreating"}
	if len(pod.spec().Spec.InitContainers) > 0 {
		c.status.State.Waiting.Reason = "PodInitializing"
	}
	return c
}

// resume takes over what the API knows of an earlier life of the container, whose process ended with the agent that ran it.
func (c *container) resume(before *v1.ContainerStatus) {
	ended := before.State.Terminated
	if running := before.State.Running; running != nil {
		ended = &v1.ContainerStateTerminated{
			ExitCode: 137, Reason: "ContainerStatusUnknown", Message: "the node agent restarted, which ends its processes",
			StartedAt: running.StartedAt, FinishedAt: metav1.Now(), ContainerID: before.ContainerID,
		}
	}
	c.starts = before.RestartCount
	if ended == nil {
		c.status.LastTerminationState = before.LastTerminationState
		if before.LastTerminationState.Terminated != nil {
			c.starts++
		}
	} else {
		c.starts++
		c.status.LastTerminationState = v1.ContainerState{Terminated: ended}
	}
	c.status.RestartCount = before.RestartCount
}

// finished says whether the container, as resumed, will not run again.
func (c *container) finished() bool {
	ended := c.status.LastTerminationState.Terminated
	if ended == nil || restarts(c.policy(), ended.ExitCode) {
		return false
	}
	c.status.State = v1.ContainerState{Terminated: ended}
	return true
}

func (c *container) policy() v1.RestartPolicy {
	spec := c.pod.spec().Spec
	switch {
	case c.sidecar:
		return v1.RestartPolicyAlways
	case c.init && spec.RestartPolicy == v1.RestartPolicyAlways:
		return v1.RestartPolicyOnFailure
	}
	if own := c.spec().RestartPolicy; own != nil {
		return v1.RestartPolicy(*own)
	}
	return spec.RestartPolicy
}

// spec is the container's part of the newest pod spec.
func (c *container) spec() *v1.Container {
	pod := c.pod.spec()
	list := pod.Spec.Containers
	if c.init {
		list = pod.Spec.InitContainers
	}
	for i := range list {
		if list[i].Name == c.name {
			return &list[i]
		}
	}
	panic(fmt.Sprintf("pod %s/%s lost its container %s, which the API does not allow", pod.Namespace, pod.Name, c.name))
}

// loop runs the container until it is done for good or the context ends. It says whether the last run succeeded.
func (c *container) loop(ctx context.Context) bool {
	retry := configRetryFirst
	for ctx.Err() == nil {
		plan, err := c.plan(ctx)
		if err != nil {
			reason := "CreateContainerConfigError"
			if errors.As(err, new(imageError)) {
				reason = "ErrImagePull"
			}
			c.wait(reason, err.Error())
			c.event(v1.EventTypeWarning, "Failed", "Error: %s", err)
			c.pause(ctx, retry)
			retry = min(2*retry, configRetryMax)
			continue
		}
		retry = configRetryFirst
		code, replaced := c.runOnce(ctx, plan)
		if ctx.Err() != nil {
			return false
		}
		if replaced {
			continue
		}
		if !restarts(c.policy(), code) {
			return code == 0
		}
		if delay := c.backoff.Next(time.Now()); delay > 0 {
			message := fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", delay, c.name, c.pod.ref())
			c.wait("CrashLoopBackOff", message)
			c.event(v1.EventTypeWarning, "BackOff", "%s", message)
			c.pause(ctx, delay)
		}
	}
	return false
}

// runOnce starts the container and waits for its end. replaced says that it ended because its definition changed.
func (c *container) runOnce(ctx context.Context, plan *plan) (code int32, replaced bool) {
	started := metav1.Now()
	current, err := c.start(plan)
	if err != nil {
		c.event(v1.EventTypeWarning, "Failed", "Error: %s", err)
		c.set(func(s *v1.ContainerStatus) {
			s.State = v1.ContainerState{Terminated: &v1.ContainerStateTerminated{
				ExitCode: startFailedCode, Reason: "StartError", Message: err.Error(), StartedAt: started, FinishedAt: metav1.Now()}}
		})
		return startFailedCode, false
	}
	probes, stopProbes := context.WithCancel(ctx)
	defer stopProbes()
	// Readiness is asked for until the end, as by a kubelet: an endpoint that terminates may still serve.
	alive, over := context.WithCancel(context.Background())
	defer over()
	spec := c.spec()
	c.set(func(s *v1.ContainerStatus) {
		c.current = current
		s.Image, s.ImageID, s.ContainerID = spec.Image, "process://"+plan.args[0], current.id
		s.RestartCount = c.starts
		c.starts++
		endedBecomesLast(s)
		s.State = v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: started}}
		isStarted := spec.StartupProbe == nil
		s.Started = &isStarted
		s.Ready = isStarted && spec.ReadinessProbe == nil && (!c.init || c.sidecar)
	})
	c.event(v1.EventTypeNormal, "Started", "Started container %s (process %d)", c.name, current.process.PID)
	go c.afterStart(probes, alive, spec, current)

	select {
	case <-current.process.Done():
	case <-ctx.Done():
		stopProbes()
		c.event(v1.EventTypeNormal, "Killing", "Stopping container %s", c.name)
		c.stop(spec, current, nil)
	case reason := <-current.restart:
		stopProbes()
		c.event(v1.EventTypeNormal, "Killing", "Container %s %s, will be restarted", c.name, reason.why)
		c.stop(spec, current, reason.grace)
		replaced = reason.replaced
	}
	current.finish()
	return c.ended(spec, current, started), replaced
}

func (c *container) ended(spec *v1.Container, current *run, started metav1.Time) int32 {
	code := int32(current.process.ExitCode())
	terminated := &v1.ContainerStateTerminated{
		ExitCode: code, Signal: int32(current.process.Signal()), Reason: "Completed", StartedAt: started, FinishedAt: metav1.Now(), ContainerID: current.id,
	}
	if code != 0 {
		terminated.Reason = "Error"
		if spec.TerminationMessagePolicy == v1.TerminationMessageFallbackToLogsOnError {
			terminated.Message = logs.Tail(current.log.Path(), 80, 2048)
		}
	}
	c.set(func(s *v1.ContainerStatus) {
		c.current = nil
		s.State = v1.ContainerState{Terminated: terminated}
		s.Started = new(bool)
		s.Ready = c.init && !c.sidecar && code == 0
	})
	return code
}

// wait reports why the container does not run now.
func (c *container) wait(reason, message string) {
	c.set(func(s *v1.ContainerStatus) {
		endedBecomesLast(s)
		s.State = v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason, Message: message}}
	})
}

func endedBecomesLast(s *v1.ContainerStatus) {
	if s.State.Terminated != nil {
		s.LastTerminationState = s.State
	}
}

// pause sleeps; a changed definition or the end of the context wakes it.
func (c *container) pause(ctx context.Context, duration time.Duration) {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.changed:
	case <-ctx.Done():
	}
}

// replaceDefinition restarts the container because its spec changed (an image, the only thing the API lets change).
func (c *container) replaceDefinition() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
	c.pod.mu.Lock()
	current := c.current
	c.pod.mu.Unlock()
	if current != nil {
		current.replace(restartReason{why: "definition changed", replaced: true})
	}
}

func (c *container) set(change func(*v1.ContainerStatus)) {
	c.pod.mu.Lock()
	change(&c.status)
	c.pod.mu.Unlock()
	c.pod.report()
}

func (c *container) event(kind, reason, format string, args ...any) {
	c.pod.provider.Recorder.Eventf(c.pod.spec(), kind, reason, format, args...)
}
