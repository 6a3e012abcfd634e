package pods

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/node/api"
	utilexec "k8s.io/utils/exec"

	"servicefailover.dev/embedded/node/process"
)

// execStreams are the ends that a command is connected to; nil ones are /dev/null. With a terminal there is no stderr.
type execStreams struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	tty            bool
	resize         <-chan api.TermSize
}

// runCommand runs a command in the environment and directory of a running container. A code other than 0 is a utilexec.CodeExitError. The command
// ends when the container or the context does.
func runCommand(ctx context.Context, starter *process.Starter, current *run, command []string, streams execStreams) error {
	spec := process.Spec{Args: command, Env: current.plan.env, Dir: current.plan.dir, Mark: current.process.Mark}
	wired, err := wire(&spec, streams)
	if err != nil {
		return err
	}
	started, err := starter.Start(spec)
	for _, file := range wired.theirs {
		_ = file.Close()
	}
	if err != nil {
		wired.close()
		return err
	}
	outputs := wired.copy(started, streams)
	select {
	case <-started.Done():
	case <-ctx.Done():
		started.Kill()
		<-started.Done()
	}
	select {
	case <-outputs:
	case <-time.After(drainTimeout):
	}
	wired.close()
	if code := started.ExitCode(); code != 0 {
		return utilexec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
	}
	return ctx.Err()
}

// wiring is the agent's side of a command's files.
type wiring struct {
	theirs                 []*os.File // to be closed once the process has them
	terminal               *os.File
	stdin, stdout, stderrR *os.File
}

func wire(spec *process.Spec, streams execStreams) (*wiring, error) {
	w := &wiring{}
	if streams.tty {
		master, slave, err := process.OpenTerminal()
		if err != nil {
			return nil, err
		}
		w.terminal, w.theirs = master, []*os.File{slave}
		spec.TTY, spec.Stdin, spec.Stdout, spec.Stderr = true, slave, slave, slave
		return w, nil
	}
	var err error
	pipe := func() (reader, writer *os.File) {
		if err == nil {
			reader, writer, err = os.Pipe()
		}
		return reader, writer
	}
	if streams.stdin != nil {
		spec.Stdin, w.stdin = pipe()
		w.theirs = append(w.theirs, spec.Stdin)
	}
	if streams.stdout != nil {
		w.stdout, spec.Stdout = pipe()
		w.theirs = append(w.theirs, spec.Stdout)
	}
	if streams.stderr != nil {
		w.stderrR, spec.Stderr = pipe()
		w.theirs = append(w.theirs, spec.Stderr)
	}
	if err != nil {
		for _, file := range w.theirs {
			_ = file.Close()
		}
		w.close()
	}
	return w, err
}

// copy moves data until the streams end. The channel closes when all output is out; input may still be waited for then.
func (w *wiring) copy(started *process.Process, streams execStreams) <-chan struct{} {
	done := make(chan struct{})
	if w.terminal != nil {
		go func() {
			for {
				select {
				case size := <-streams.resize:
					_ = process.ResizeTerminal(w.terminal, size.Width, size.Height)
				case <-started.Done():
					return
				}
			}
		}()
		if streams.stdin != nil {
			go func() { _, _ = io.Copy(w.terminal, streams.stdin) }()
		}
		go func() {
			defer close(done)
			_, _ = io.Copy(streams.stdout, w.terminal) // ends with EIO when the last process leaves the terminal
		}()
		return done
	}
	if w.stdin != nil {
		go func() {
			_, _ = io.Copy(w.stdin, streams.stdin)
			_ = w.stdin.Close()
		}()
	}
	errors := make(chan struct{})
	go func() {
		defer close(errors)
		if w.stderrR != nil {
			_, _ = io.Copy(streams.stderr, w.stderrR)
		}
	}()
	go func() {
		defer close(done)
		if w.stdout != nil {
			_, _ = io.Copy(streams.stdout, w.stdout)
		}
		<-errors
	}()
	return done
}

func (w *wiring) close() {
	for _, file := range []*os.File{w.terminal, w.stdin, w.stdout, w.stderrR} {
		if file != nil {
			_ = file.Close()
		}
	}
}
