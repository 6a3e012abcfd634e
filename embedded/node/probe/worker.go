package probe

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
)

// Run probes until the context ends or changed says stop. changed is told about every change of the result; failed about every single failure,
// except those of the early extra readiness probes (see Pause).
func Run(
	ctx context.Context, kind Kind, probe *v1.Probe, target *Target,
	failed func(kind Kind, err error), changed func(kind Kind, result Result) (goOn bool),
) {
	timing, counter, first := TimingOf(kind, probe), NewCounter(probe), time.Now()
	result, failures := Unknown, 0
	if !sleep(ctx, timing.InitialDelay) {
		return
	}
	for {
		began := time.Now()
		err := Ask(ctx, target, &probe.ProbeHandler, timing.Timeout)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			failures = 0
		} else {
			failures++
			if kind != Readiness || result == Success || time.Since(first) >= timing.InitialDelay+timing.Period {
				failed(kind, err)
			}
		}
		if now := counter.Observe(err == nil); now != result {
			result = now
			if !changed(kind, result) {
				return
			}
		}
		if !sleep(ctx, Pause(kind, timing, result, failures)-time.Since(began)) {
			return
		}
	}
}

func sleep(ctx context.Context, duration time.Duration) bool {
	timer := time.NewTimer(max(duration, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
