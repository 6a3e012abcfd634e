// Package probe asks containers how they are: readiness, liveness and startup probes by http, tcp and exec, with a kubelet's timing.
package probe

import (
	"time"

	v1 "k8s.io/api/core/v1"
)

// Kind is what a probe is for.
type Kind string

// The three kinds of the API.
const (
	Readiness Kind = "Readiness"
	Liveness  Kind = "Liveness"
	Startup   Kind = "Startup"
)

// Result is what a container's probes have established.
type Result int

// A result is Unknown until the first threshold is reached.
const (
	Unknown Result = iota
	Success
	Failure
)

// Counter turns single answers into a result: it changes after as many equal answers in a row as the threshold of that answer says.
type Counter struct {
	successThreshold, failureThreshold int
	last                               bool
	run                                int
	result                             Result
}

// NewCounter makes a counter with the probe's thresholds; unset ones are the defaults of the API (1 and 3).
func NewCounter(probe *v1.Probe) *Counter {
	return &Counter{successThreshold: orDefault(probe.SuccessThreshold, 1), failureThreshold: orDefault(probe.FailureThreshold, 3)}
}

// Observe counts one answer and gives the result so far.
func (c *Counter) Observe(ok bool) Result {
	if c.run == 0 || ok != c.last {
		c.last, c.run = ok, 0
	}
	c.run++
	switch {
	case ok && c.run >= c.successThreshold:
		c.result = Success
	case !ok && c.run >= c.failureThreshold:
		c.result = Failure
	}
	return c.result
}

// Timing is when a probe runs.
type Timing struct {
	InitialDelay, Period, Timeout time.Duration
}

// livenessDelay is the least time before the first liveness probe: at the very start no program answers, and each such failure counts.
const livenessDelay = time.Second

// TimingOf reads a probe's timing; unset fields are the defaults of the API (0 s, 10 s, 1 s).
func TimingOf(kind Kind, probe *v1.Probe) Timing {
	delay := time.Duration(probe.InitialDelaySeconds) * time.Second
	if kind == Liveness {
		delay = max(delay, livenessDelay)
	}
	return Timing{
		InitialDelay: delay,
		Period:       time.Duration(orDefault(probe.PeriodSeconds, 10)) * time.Second,
		Timeout:      time.Duration(orDefault(probe.TimeoutSeconds, 1)) * time.Second,
	}
}

// eagerFirst is the pause after the first failed readiness probe of a container that was never ready.
const eagerFirst = 50 * time.Millisecond

// Pause is how long to wait before the next probe. A container that was never ready is asked again soon, with doubling pauses up to the period:
// it usually starts in far less than a period, and asking early changes no result (not ready is what it is).
func Pause(kind Kind, timing Timing, result Result, failures int) time.Duration {
	if kind != Readiness || result == Success || failures > 16 {
		return timing.Period
	}
	return min(eagerFirst<<max(failures-1, 0), timing.Period)
}

func orDefault(value int32, fallback int) int {
	if value == 0 {
		return fallback
	}
	return int(value)
}
