package process

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// agentRole makes the test binary play an agent that starts a process, prints its id and waits to be killed.
const agentRole = "TEST_AGENT_RECORDS"

func TestMain(m *testing.M) {
	if records := os.Getenv(agentRole); records != "" {
		starter, err := NewStarter(records)
		if err == nil {
			var p *Process
			// The child leaves a grandchild in its group that does not get Pdeathsig, and one in a session of its own.
			p, err = starter.Start(Spec{Args: []string{"sh", "-c", "sleep 600 & setsid sleep 600 & wait"}, Env: map[string]string{"PATH": os.Getenv("PATH")}, Mark: "state|pod"})
			if err == nil {
				os.Stdout.WriteString(strconv.Itoa(p.PID) + "\n")
				select {}
			}
		}
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func start(t *testing.T, mark string, args ...string) *Process {
	t.Helper()
	starter, err := NewStarter(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := starter.Start(Spec{Args: args, Env: map[string]string{"PATH": os.Getenv("PATH")}, Mark: mark, Owner: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func wait(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the process does not end")
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for range 250 {
		if condition() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("not within 5 s: %s", what)
}

// marked counts the live processes with a mark.
func marked(mark string) (count int) {
	directories, _ := filepath.Glob("/proc/[0-9]*")
	for _, directory := range directories {
		environ, err := os.ReadFile(filepath.Join(directory, "environ"))
		if found, ok := markOf(environ); err == nil && ok && found == mark {
			count++
		}
	}
	return count
}

func TestExitCodesAndSignalsAreReported(t *testing.T) {
	p := start(t, "codes", "sh", "-c", "exit 7")
	wait(t, p)
	if p.ExitCode() != 7 || p.Signal() != 0 {
		t.Errorf("code %d signal %d, want 7 and none", p.ExitCode(), p.Signal())
	}
	p = start(t, "codes", "sleep", "600")
	p.Kill()
	wait(t, p)
	if p.ExitCode() != 137 || p.Signal() != syscall.SIGKILL {
		t.Errorf("code %d signal %d, want 137 and SIGKILL as container runtimes say", p.ExitCode(), p.Signal())
	}
}

func TestTerminateLetsTheProcessEndItself(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	p := start(t, "terminate", "sh", "-c", "trap 'exit 5' TERM; : > "+ready+"; while :; do sleep 0.02; done")
	eventually(t, "the trap is set", func() bool { _, err := os.Stat(ready); return err == nil })
	p.Terminate()
	wait(t, p)
	if p.ExitCode() != 5 {
		t.Errorf("code %d, want 5 from the program's own handler", p.ExitCode())
	}
}

func TestNothingOutlivesItsContainer(t *testing.T) {
	p := start(t, "outlive", "sh", "-c", "sleep 600 & setsid sleep 600 & sleep 0.3")
	eventually(t, "three more processes run", func() bool { return marked("outlive") == 4 })
	wait(t, p)
	eventually(t, "the group and what left it are gone", func() bool { return marked("outlive") == 0 })
}

func TestAProgramThatDoesNotExistIsAnError(t *testing.T) {
	starter, _ := NewStarter(t.TempDir())
	if _, err := starter.Start(Spec{Args: []string{"/no/such/program"}}); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("got %v, want an error that names the program", err)
	}
}

func TestProcessesDieWithTheAgentAndLeftoversAreKilledByTheNext(t *testing.T) {
	records := t.TempDir()
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), agentRole+"="+records)
	out, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(line))
	eventually(t, "both sleeps run", func() bool { return marked("state|pod") == 3 })
	_ = agent.Process.Kill()
	_ = agent.Wait()
	eventually(t, "the container's process died with the agent", func() bool { _, err := StartTime(pid); return err != nil })
	if err := KillLeftovers(records, func(mark string) bool { return strings.HasPrefix(mark, "state|") }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its children are gone too", func() bool { return marked("state|pod") == 0 })
	if entries, _ := os.ReadDir(records); len(entries) != 0 {
		t.Errorf("%d records are left", len(entries))
	}
}

func TestARecordOfAReusedProcessIDKillsNobody(t *testing.T) {
	records := t.TempDir()
	bystander := start(t, "bystander", "sleep", "600")
	if err := os.WriteFile(filepath.Join(records, strconv.Itoa(bystander.PID)), []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := KillLeftovers(records, func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if _, err := StartTime(bystander.PID); err != nil {
		t.Error("a process that started at another time than the record says was killed")
	}
}

func TestATerminalHasASizeAndIsTheControllingOne(t *testing.T) {
	starter, _ := NewStarter(t.TempDir())
	master, slave, err := OpenTerminal()
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	defer master.Close()
	if err := ResizeTerminal(master, 132, 43); err != nil {
		t.Fatal(err)
	}
	p, err := starter.Start(Spec{
		Args: []string{"sh", "-c", "stty size < /dev/tty"}, Env: map[string]string{"PATH": os.Getenv("PATH")}, Stdin: slave, Stdout: slave, Stderr: slave, TTY: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	slave.Close()
	line, _ := bufio.NewReader(master).ReadString('\n')
	wait(t, p)
	if strings.TrimSpace(line) != "43 132" {
		t.Errorf("stty says %q, want 43 132", line)
	}
}
