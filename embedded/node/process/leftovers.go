package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// record writes down a running process as a file named by its id that holds its start time: an id alone may name another process later.
func (s *Starter) record(pid int) string {
	file := filepath.Join(s.records, strconv.Itoa(pid))
	if started, err := StartTime(pid); err == nil {
		_ = os.WriteFile(file, []byte(started), 0o600) // the mark in the environment is the second way to find it
	}
	return file
}

// KillLeftovers ends what an earlier agent with these records left behind, and waits until it is gone.
func KillLeftovers(records string, marked func(mark string) bool) error {
	entries, err := os.ReadDir(records)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		file := filepath.Join(records, entry.Name())
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		recorded, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if started, err := StartTime(pid); err == nil && started == string(recorded) {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			if err := waitGone(pid, started); err != nil {
				return err
			}
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	KillMarked(marked)
	return nil
}

func waitGone(pid int, started string) error {
	for range 500 {
		if now, err := StartTime(pid); err != nil || now != started {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("process %d of an earlier node agent does not end after SIGKILL", pid)
}

// KillMarked ends every process whose container mark the function accepts, wherever it moved to (another group or session).
func KillMarked(accept func(mark string) bool) {
	for range 5 { // a process may fork while the list is read
		if !killMarkedOnce(accept) {
			return
		}
	}
}

func killMarkedOnce(accept func(mark string) bool) (found bool) {
	directories, _ := filepath.Glob("/proc/[0-9]*")
	for _, directory := range directories {
		pid, _ := strconv.Atoi(filepath.Base(directory))
		environ, err := os.ReadFile(filepath.Join(directory, "environ"))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if mark, ok := markOf(environ); ok && accept(mark) && syscall.Kill(pid, syscall.SIGKILL) == nil {
			found = true
		}
	}
	return found
}

func markOf(environ []byte) (string, bool) {
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if name, value, ok := strings.Cut(string(entry), "="); ok && name == markName {
			return value, true
		}
	}
	return "", false
}

// StartTime is when a process started, in clock ticks since boot, as the kernel writes it. A zombie counts as gone.
func StartTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The second field is the command in parentheses and may itself hold blanks and parentheses: count from the last one.
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return "", fmt.Errorf("/proc/%d/stat: no command", pid)
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 20 {
		return "", fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return "", os.ErrProcessDone
	}
	return fields[19], nil
}
