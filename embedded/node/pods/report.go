package pods

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// Pauses between attempts to write to the API.
const (
	writeRetryFirst = 50 * time.Millisecond
	writeRetryMax   = 2 * time.Second
	// finalStatusTimeout is how long an ended pod tries to tell its last status before it lets go.
	finalStatusTimeout = 5 * time.Second
)

// writeStatus keeps the API's status equal to the pod's until the context ends, and then writes the last one. Only what changed since the last
// write is sent, as a patch with the pod's UID, so that other writers' labels, annotations and conditions stay.
func (r *runner) writeStatus(ctx context.Context) {
	pod := r.spec()
	known := pod.Status.DeepCopy()
	for {
		select {
		case <-r.dirty:
		case <-ctx.Done():
			final, cancel := context.WithTimeout(context.Background(), finalStatusTimeout)
			defer cancel()
			r.writeOnce(final, known)
			return
		}
		if !r.writeOnce(ctx, known) {
			<-ctx.Done()
			return
		}
	}
}

// writeOnce writes until it succeeds, the context ends, or the pod is gone (then it says false). Each attempt takes the newest state.
func (r *runner) writeOnce(ctx context.Context, known *v1.PodStatus) (exists bool) {
	for pause := writeRetryFirst; ; pause = min(2*pause, writeRetryMax) {
		pod, facts := r.facts()
		if facts.Leaving {
			return true
		}
		pod = pod.DeepCopy()
		pod.Status = *known.DeepCopy()
		status := Status(pod, facts, metav1.Now())
		patch, changed, err := statusPatch(pod, known, &status)
		if err == nil && !changed {
			return true
		}
		if err == nil {
			_, err = r.provider.Client.CoreV1().Pods(pod.Namespace).Patch(
				context.WithoutCancel(ctx), pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		}
		switch {
		case err == nil:
			*known = status
			return true
		case apierrors.IsNotFound(err) || apierrors.IsConflict(err): // a conflict is about the UID: the name belongs to another pod now
			return false
		}
		slog.Warn("pod status not written, will try again", "pod", r.ref(), "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return true
		}
	}
}

func statusPatch(pod *v1.Pod, before, after *v1.PodStatus) (patch []byte, changed bool, err error) {
	old, err := json.Marshal(v1.Pod{Status: *before})
	if err != nil {
		return nil, false, err
	}
	current, err := json.Marshal(v1.Pod{Status: *after})
	if err != nil {
		return nil, false, err
	}
	difference, err := strategicpatch.CreateTwoWayMergePatch(old, current, v1.Pod{})
	if err != nil || string(difference) == "{}" {
		return nil, false, err
	}
	var fields map[string]any
	if err := json.Unmarshal(difference, &fields); err != nil {
		return nil, false, err
	}
	fields["metadata"] = map[string]any{"uid": pod.UID}
	patch, err = json.Marshal(fields)
	return patch, true, err
}

// remove deletes the object once its processes have ended, as a kubelet does: grace period 0, and only this UID.
func (p *Provider) remove(ctx context.Context, pod *v1.Pod) error {
	options := metav1.NewDeleteOptions(0)
	options.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
	for pause := writeRetryFirst; ; pause = min(2*pause, writeRetryMax) {
		err := p.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, *options)
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		slog.Warn("pod not deleted, will try again", "pod", pod.Namespace+"/"+pod.Name, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("delete pod %s/%s: %w", pod.Namespace, pod.Name, ctx.Err())
		}
	}
}
