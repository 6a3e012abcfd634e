// Package process starts, watches and ends the host processes that stand for containers.
//
// Every process is the leader of a group of its own and dies with the agent (Pdeathsig). What a container leaves behind is found by its group, by
// the record on disk, or by the mark in its environment, so that an ended container has no processes.
package process

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// markName is the environment variable that tells which container a process belongs to.
const markName = "KUBE_NODE_CONTAINER"

// Spec is what to start. Env holds everything the process gets; the agent's own environment is not inherited.
type Spec struct {
	Args   []string
	Env    map[string]string
	Dir    string
	Mark   string // names the container; see KillMarked
	Owner  bool   // when this process ends, every process with its mark is ended
	Stdin  *os.File
	Stdout *os.File
	Stderr *os.File
	TTY    bool // Stdin is a terminal and becomes the controlling one
}

// Starter starts processes from one operating system thread. Linux sends Pdeathsig when the *thread* that forked ends, so that thread must live
// as long as the agent.
type Starter struct {
	jobs    chan func()
	records string
}

// NewStarter starts the thread. Records of running processes are kept in the directory.
func NewStarter(records string) (*Starter, error) {
	if err := os.MkdirAll(records, 0o700); err != nil {
		return nil, err
	}
	s := &Starter{jobs: make(chan func()), records: records}
	go func() {
		runtime.LockOSThread()
		for job := range s.jobs {
			job()
		}
	}()
	return s, nil
}

// Start starts a process. The caller keeps its ends of the files and closes what it handed over.
func (s *Starter) Start(spec Spec) (*Process, error) {
	if len(spec.Args) == 0 {
		return nil, fmt.Errorf("start: no command")
	}
	command := exec.Command(spec.Args[0], spec.Args[1:]...)
	command.Dir = spec.Dir
	command.Env = environment(spec)
	// A nil *os.File in an io.Writer is not nil: only set what is there.
	if spec.Stdin != nil {
		command.Stdin = spec.Stdin
	}
	if spec.Stdout != nil {
		command.Stdout = spec.Stdout
	}
	if spec.Stderr != nil {
		command.Stderr = spec.Stderr
	}
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if spec.TTY {
		command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true, Setctty: true}
	}
	started := make(chan error)
	s.jobs <- func() { started <- command.Start() }
	if err := <-started; err != nil {
		return nil, err
	}
	p := &Process{PID: command.Process.Pid, Mark: spec.Mark, owner: spec.Owner, done: make(chan struct{})}
	record := s.record(p.PID)
	go p.wait(command, record)
	return p, nil
}

func environment(spec Spec) []string {
	out := make([]string, 0, len(spec.Env)+1)
	for name, value := range spec.Env {
		if !strings.ContainsRune(name+value, 0) {
			out = append(out, name+"="+value)
		}
	}
	return append(out, markName+"="+spec.Mark)
}

// Process is a started process.
type Process struct {
	PID   int
	Mark  string
	owner bool

	mu     sync.Mutex
	reaped bool // the number may be somebody else's by now

	done   chan struct{}
	code   int
	signal syscall.Signal
}

// wait looks at the exit before reaping: until it is reaped the process id, and so the group id, cannot belong to anyone else.
func (p *Process) wait(command *exec.Cmd, record string) {
	for {
		err := unix.Waitid(unix.P_PID, p.PID, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			break
		}
	}
	p.Kill()
	p.mu.Lock()
	p.reaped = true
	_ = command.Wait() // the exit is read from ProcessState
	p.mu.Unlock()
	if status, ok := command.ProcessState.Sys().(syscall.WaitStatus); ok {
		if status.Signaled() {
			p.signal = status.Signal()
			p.code = 128 + int(status.Signal())
		} else {
			p.code = status.ExitStatus()
		}
	}
	if p.owner {
		KillMarked(func(mark string) bool { return mark == p.Mark })
	}
	_ = os.Remove(record)
	close(p.done)
}

// Done is closed when the process has ended and its group is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode is the code after Done; 128 plus the number for a signal, as container runtimes report it.
func (p *Process) ExitCode() int { return p.code }

// Signal is the signal that ended the process, 0 if none did.
func (p *Process) Signal() syscall.Signal { return p.signal }

// Terminate asks the process to end.
func (p *Process) Terminate() { p.send(p.PID, syscall.SIGTERM) }

// Kill ends the process and everything in its group.
func (p *Process) Kill() { p.send(-p.PID, syscall.SIGKILL) }

func (p *Process) send(target int, signal syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(target, signal)
	}
}
