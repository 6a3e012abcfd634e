package pods

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"

	"servicefailover.dev/embedded/node/env"
	"servicefailover.dev/embedded/node/logs"
	"servicefailover.dev/embedded/node/process"
)

// imageError says that this node has no program for an image.
type imageError struct{ error }

// drainTimeout is how long output is still read after every process of a container has ended.
const drainTimeout = time.Second

// plan is everything that a run of a container needs.
type plan struct {
	args []string
	env  map[string]string
	dir  string
}

// run is one run of a container.
type run struct {
	id      string
	plan    *plan
	process *process.Process
	log     *logs.Writer
	copied  chan struct{}
	outputs []*os.File
	restart chan restartReason
}

type restartReason struct {
	why      string
	grace    *int64 // nil: the pod's
	replaced bool
}

// replace asks for an end of this run; the first reason counts.
func (r *run) replace(reason restartReason) {
	select {
	case r.restart <- reason:
	default:
	}
}

// finish waits for the rest of the output and closes the log.
func (r *run) finish() {
	select {
	case <-r.copied:
	case <-time.After(drainTimeout):
	}
	for _, output := range r.outputs {
		_ = output.Close()
	}
	_ = r.log.Close()
}

// plan resolves image, environment and arguments.
func (c *container) plan(ctx context.Context) (*plan, error) {
	spec := c.spec()
	image, err := c.pod.provider.Images.Find(spec.Image)
	if err != nil {
		return nil, imageError{err}
	}
	base, err := c.baseEnv(spec, image)
	if err != nil {
		return nil, err
	}
	resolver := env.Resolver{
		Source: c.pod.provider, Realise: c.pod.provider.Dialer.Mapping().RealiseText, Allocatable: c.pod.provider.Allocatable,
	}
	variables, err := resolver.Resolve(ctx, c.pod.addressed(), spec, base)
	if err != nil {
		return nil, err
	}
	dir := spec.WorkingDir
	if dir == "" {
		dir = filepath.Join(c.pod.dir, "containers", c.name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	args := image.Command(spec, func(texts []string) []string { return env.ExpandAll(texts, variables) })
	if len(args) == 0 {
		return nil, fmt.Errorf("image %q has no entrypoint and the container no command", spec.Image)
	}
	return &plan{args: args, env: variables, dir: dir}, nil
}

// baseEnv is what every container gets from the node.
func (c *container) baseEnv(spec *v1.Container, image Image) (map[string]string, error) {
	pod := c.pod.spec()
	out, err := c.pod.provider.serviceEnv(pod)
	if err != nil {
		return nil, err
	}
	out["PATH"] = os.Getenv("PATH")
	out["HOME"] = c.pod.dir
	out["TMPDIR"] = filepath.Join(c.pod.dir, "tmp")
	out["HOSTNAME"] = pod.Name
	if usesServiceAccount(spec) {
		out["KUBECONFIG"] = c.pod.kubeconfig()
	}
	maps.Copy(out, image.Env)
	return out, nil
}

// start starts the process with its output going to a new log. Only the logs of this run and the one before are kept.
func (c *container) start(plan *plan) (*run, error) {
	directory := c.pod.logDir(c.name)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	c.pod.mu.Lock()
	number := int(c.starts)
	c.pod.mu.Unlock()
	logs.Remove(logFile(directory, number-2))
	log, err := logs.Create(logFile(directory, number))
	if err != nil {
		return nil, err
	}
	current := &run{
		id:   fmt.Sprintf("process://%s/%s/%d", c.pod.uid, c.name, number),
		plan: plan, log: log, copied: make(chan struct{}), restart: make(chan restartReason, 1),
	}
	var files [2]*os.File // what the process writes to
	for i := range files {
		reader, writer, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer func() { _ = writer.Close() }()
		current.outputs, files[i] = append(current.outputs, reader), writer
	}
	current.process, err = c.pod.provider.Starter.Start(process.Spec{
		Args: plan.args, Env: plan.env, Dir: plan.dir, Mark: c.pod.mark(c.name, number), Owner: true, Stdout: files[0], Stderr: files[1],
	})
	if err != nil {
		for _, output := range current.outputs {
			_ = output.Close()
		}
		_ = log.Close()
		return nil, err
	}
	go func() {
		defer close(current.copied)
		rest := make(chan struct{})
		go func() {
			defer close(rest)
			_ = log.Copy("stderr", current.outputs[1]) // ends with the process; a full disk shows in the node's own log
		}()
		_ = log.Copy("stdout", current.outputs[0])
		<-rest
	}()
	return current, nil
}

func logFile(directory string, number int) string {
	return filepath.Join(directory, strconv.Itoa(number)+".log")
}

// stop ends a run: preStop hook, SIGTERM, and SIGKILL to the group when the grace period is over (the pod's, or an own one). When the agent itself ends
// there is no hook: what forwards to the pod ends too, so nothing could be gained by its time.
func (c *container) stop(spec *v1.Container, current *run, grace *int64) {
	kill := c.pod.killNow
	hookContext, cancel := context.WithCancel(context.Background())
	defer cancel()
	var timeout <-chan time.Time
	if c.pod.stopContext.Err() == nil { // a restart, not the pod's end: the grace period begins here
		seconds := c.pod.graceSeconds()
		if grace != nil {
			seconds = *grace
		}
		timer := time.NewTimer(time.Duration(seconds) * time.Second)
		defer timer.Stop()
		timeout = timer.C
	}
	hooked := make(chan struct{})
	go func() {
		defer close(hooked)
		if spec.Lifecycle == nil || spec.Lifecycle.PreStop == nil || c.pod.isLeaving() {
			return
		}
		if err := c.hook(hookContext, c.target(spec, current), spec.Lifecycle.PreStop); err != nil && hookContext.Err() == nil {
			c.event(v1.EventTypeWarning, "FailedPreStopHook", "PreStopHook failed: %s", err)
		}
	}()
	for {
		select {
		case <-hooked:
			current.process.Terminate()
			hooked = nil
		case <-current.process.Done():
			return
		case <-kill:
			current.process.Kill()
			<-current.process.Done()
			return
		case <-timeout:
			current.process.Kill()
			<-current.process.Done()
			return
		}
	}
}
