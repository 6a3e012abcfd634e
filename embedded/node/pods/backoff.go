package pods

import (
	"time"

	v1 "k8s.io/api/core/v1"
)

// A kubelet's restart delays: none after the first end, then 10 s doubling to 5 min; forgotten when a run lasted 10 min.
const (
	backoffFirst = 10 * time.Second
	backoffMax   = 5 * time.Minute
	backoffReset = 2 * backoffMax
)

// Backoff is the restart delay of one container.
type Backoff struct {
	next    time.Duration
	started time.Time // when the current run may have begun
}

// Next says how long after its end a container starts again.
func (b *Backoff) Next(finished time.Time) time.Duration {
	if b.next == 0 || finished.Sub(b.started) > backoffReset {
		b.next, b.started = backoffFirst, finished
		return 0
	}
	delay := b.next
	b.next, b.started = min(2*delay, backoffMax), finished.Add(delay)
	return delay
}

// restarts says whether a container that ended with the code runs again.
func restarts(policy v1.RestartPolicy, code int32) bool {
	return policy == v1.RestartPolicyAlways || policy == v1.RestartPolicyOnFailure && code != 0
}
