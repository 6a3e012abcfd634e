package pods

import (
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Facts is what the node knows of a pod; Status turns it into what the API says.
type Facts struct {
	Address     string // "" until the pod has one
	NodeAddress string
	Started     metav1.Time
	Init        []v1.ContainerStatus
	Main        []v1.ContainerStatus
	Initialized bool
	Stopped     bool   // was told to stop, and every process has ended
	Leaving     bool   // the agent is ending: nothing is to be reported any more
	Reason      string // of a pod that failed as a whole
	Message     string
}

// Status is the pod's status. Conditions of other writers, and the times of conditions that did not change, are taken from the status before.
func Status(pod *v1.Pod, facts Facts, now metav1.Time) v1.PodStatus {
	status := *pod.Status.DeepCopy()
	status.ObservedGeneration = pod.Generation
	status.Phase = phase(pod, facts)
	status.Reason, status.Message = facts.Reason, facts.Message
	status.HostIP, status.HostIPs = facts.NodeAddress, []v1.HostIP{{IP: facts.NodeAddress}}
	if facts.Address != "" {
		status.PodIP, status.PodIPs = facts.Address, []v1.PodIP{{IP: facts.Address}}
	}
	status.StartTime = &facts.Started
	status.InitContainerStatuses, status.ContainerStatuses = facts.Init, facts.Main

	ended := status.Phase == v1.PodSucceeded || status.Phase == v1.PodFailed
	notReady := unready(facts.Main)
	ready := condition{status: facts.Initialized && len(notReady) == 0 && !ended}
	switch {
	case status.Phase == v1.PodSucceeded:
		ready.reason = "PodCompleted"
	case status.Phase == v1.PodFailed:
		ready.reason = "PodFailed"
	case !ready.status:
		ready.reason, ready.message = "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", strings.Join(notReady, " "))
	}
	initialized := condition{status: facts.Initialized || status.Phase == v1.PodSucceeded}
	if !initialized.status {
		initialized.reason = "ContainersNotInitialized"
		initialized.message = fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(incomplete(facts.Init), " "))
	}
	for _, c := range []struct {
		kind v1.PodConditionType
		condition
	}{
		{v1.PodReadyToStartContainers, condition{status: facts.Address != "" && !facts.Stopped}},
		{v1.PodInitialized, initialized},
		{v1.ContainersReady, ready},
		{v1.PodReady, ready},
		{v1.PodScheduled, condition{status: true}},
	} {
		status.Conditions = setCondition(status.Conditions, c.kind, c.condition, pod.Generation, now)
	}
	return status
}

type condition struct {
	status          bool
	reason, message string
}

func setCondition(all []v1.PodCondition, kind v1.PodConditionType, c condition, generation int64, now metav1.Time) []v1.PodCondition {
	next := v1.PodCondition{Type: kind, Status: v1.ConditionFalse, Reason: c.reason, Message: c.message, LastTransitionTime: now, ObservedGeneration: generation}
	if c.status {
		next.Status = v1.ConditionTrue
	}
	at := slices.IndexFunc(all, func(old v1.PodCondition) bool { return old.Type == kind })
	if at < 0 {
		return append(all, next)
	}
	if all[at].Status == next.Status {
		next.LastTransitionTime = all[at].LastTransitionTime
	}
	all[at] = next
	return all
}

func unready(statuses []v1.ContainerStatus) []string {
	var names []string
	for _, status := range statuses {
		if !status.Ready {
			names = append(names, status.Name)
		}
	}
	return names
}

func incomplete(statuses []v1.ContainerStatus) []string {
	return unready(statuses) // an init container is "ready" when it has done its work
}

// phase follows a kubelet: Pending until every container has run, Running while one runs or will run again, then Succeeded or Failed.
func phase(pod *v1.Pod, facts Facts) v1.PodPhase {
	if facts.Reason != "" {
		return v1.PodFailed
	}
	if !facts.Initialized {
		for _, status := range facts.Init {
			if ended := status.State.Terminated; ended != nil && ended.ExitCode != 0 && pod.Spec.RestartPolicy == v1.RestartPolicyNever {
				return v1.PodFailed
			}
		}
		if facts.Stopped {
			return v1.PodFailed
		}
		return v1.PodPending
	}
	var running, never, failed, comesBack int
	for _, status := range facts.Main {
		ended := status.State.Terminated
		switch {
		case status.State.Running != nil:
			running++
		case ended == nil && status.LastTerminationState.Terminated == nil:
			never++
		case ended == nil:
			comesBack++
		case ended.ExitCode != 0:
			failed++
		}
		if ended != nil && restarts(pod.Spec.RestartPolicy, ended.ExitCode) {
			comesBack++
		}
	}
	switch {
	case facts.Stopped && failed+never > 0:
		return v1.PodFailed
	case facts.Stopped:
		return v1.PodSucceeded
	case never > 0:
		return v1.PodPending
	case running+comesBack > 0:
		return v1.PodRunning
	case failed > 0:
		return v1.PodFailed
	default:
		return v1.PodSucceeded
	}
}
