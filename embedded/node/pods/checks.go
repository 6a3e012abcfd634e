package pods

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"

	"servicefailover.dev/embedded/node/probe"
)

// afterStart does what belongs to a fresh run: the postStart hook, then the probes in their order. alive lasts as long as the run, ctx until it is to stop.
func (c *container) afterStart(ctx, alive context.Context, spec *v1.Container, current *run) {
	target := c.target(spec, current)
	if spec.Lifecycle != nil && spec.Lifecycle.PostStart != nil {
		if err := c.hook(ctx, target, spec.Lifecycle.PostStart); err != nil && ctx.Err() == nil {
			c.event(v1.EventTypeWarning, "FailedPostStartHook", "PostStartHook failed: %s", err)
			current.replace(restartReason{why: "failed its postStart hook"})
			return
		}
	}
	if spec.StartupProbe == nil {
		c.probe(ctx, alive, spec, target, current)
		return
	}
	probe.Run(ctx, probe.Startup, spec.StartupProbe, target, c.unhealthy, func(_ probe.Kind, result probe.Result) bool {
		if result == probe.Failure {
			current.replace(restartReason{why: "failed startup probe", grace: spec.StartupProbe.TerminationGracePeriodSeconds})
			return false
		}
		c.set(func(s *v1.ContainerStatus) {
			*s.Started = true
			s.Ready = spec.ReadinessProbe == nil
		})
		c.probe(ctx, alive, spec, target, current)
		return false
	})
}

func (c *container) probe(ctx, alive context.Context, spec *v1.Container, target *probe.Target, current *run) {
	if p := spec.LivenessProbe; p != nil {
		go probe.Run(ctx, probe.Liveness, p, target, c.unhealthy, func(_ probe.Kind, result probe.Result) bool {
			if result == probe.Failure {
				current.replace(restartReason{why: "failed liveness probe", grace: p.TerminationGracePeriodSeconds})
			}
			return result != probe.Failure
		})
	}
	if p := spec.ReadinessProbe; p != nil {
		go probe.Run(alive, probe.Readiness, p, target, c.unhealthy, func(_ probe.Kind, result probe.Result) bool {
			c.set(func(s *v1.ContainerStatus) { s.Ready = result == probe.Success && c.current == current })
			return true
		})
	}
}

func (c *container) unhealthy(kind probe.Kind, err error) {
	c.event(v1.EventTypeWarning, "Unhealthy", "%s probe failed: %s", kind, err)
}

func (c *container) target(spec *v1.Container, current *run) *probe.Target {
	return &probe.Target{
		Address: c.pod.address(), Container: spec, Dial: c.pod.provider.Dialer.DialContext,
		Exec: func(ctx context.Context, command []string) (string, error) { return c.output(ctx, current, command) },
	}
}

func (c *container) hook(ctx context.Context, target *probe.Target, handler *v1.LifecycleHandler) error {
	switch {
	case handler.Exec != nil:
		output, err := target.Exec(ctx, handler.Exec.Command)
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	case handler.HTTPGet != nil:
		return probe.HTTP(ctx, target, handler.HTTPGet)
	case handler.Sleep != nil:
		select {
		case <-time.After(time.Duration(handler.Sleep.Seconds) * time.Second):
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	return errors.New("the hook has no exec, httpGet or sleep")
}

// output runs a command beside the container's process and gives what it wrote, at most 10 KiB.
func (c *container) output(ctx context.Context, current *run, command []string) (string, error) {
	var out limitedBuffer
	err := runCommand(ctx, c.pod.provider.Starter, current, command, execStreams{stdout: &out, stderr: &out})
	return out.String(), err
}

// limitedBuffer takes what both outputs write. It is no bytes.Buffer itself: io.Copy would use that one's ReadFrom, past lock and limit.
type limitedBuffer struct {
	mu   sync.Mutex
	text []byte
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p[:min(len(p), 10<<10-len(b.text))]...)
	return len(p), nil
}

func (b *limitedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}
