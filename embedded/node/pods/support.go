package pods

import (
	"fmt"
	"os"
	"slices"

	v1 "k8s.io/api/core/v1"
)

// serviceAccountPath is where Kubernetes mounts a pod's credentials. The mount is not made; its presence says that the pod gets a kubeconfig.
const serviceAccountPath = "/var/run/secrets/kubernetes.io/serviceaccount"

// Unsupported says what a pod asks for that a host process cannot be given, or "". What only restricts a process further (runAsNonRoot,
// readOnlyRootFilesystem, dropped capabilities, seccomp, resource limits, another user) is let pass: the program runs as well without it.
func Unsupported(pod *v1.Pod) string {
	if security := pod.Spec.SecurityContext; security != nil && len(security.Sysctls) > 0 {
		return "securityContext.sysctls: a process shares the host's kernel settings"
	}
	if len(pod.Spec.HostAliases) > 0 {
		return "hostAliases: a process shares the host's /etc/hosts; use addresses or Service variables"
	}
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if problem := unsupported(&container); problem != "" {
			return fmt.Sprintf("container %s: %s", container.Name, problem)
		}
	}
	return ""
}

func unsupported(container *v1.Container) string {
	for _, mount := range container.VolumeMounts {
		if mount.MountPath != serviceAccountPath {
			return fmt.Sprintf("volumeMounts %s: %s cannot be mounted, this node runs processes on the host; pass content by env "+
				"(secretKeyRef, configMapKeyRef) or args", mount.Name, mount.MountPath)
		}
	}
	if len(container.VolumeDevices) > 0 {
		return "volumeDevices: not possible for a process on the host"
	}
	if security := container.SecurityContext; security != nil {
		if security.Privileged != nil && *security.Privileged {
			return "securityContext.privileged: this node gives no process more rights than the user who started the cluster"
		}
		if security.RunAsUser != nil && *security.RunAsUser == 0 && os.Geteuid() != 0 {
			return "securityContext.runAsUser: 0: this node does not run as root"
		}
		if capabilities := security.Capabilities; capabilities != nil {
			for _, capability := range capabilities.Add {
				if capability != "NET_BIND_SERVICE" { // only needed below port 1024, where bind says so itself
					return fmt.Sprintf("securityContext.capabilities.add %s: this node gives no process more rights than the user who started the cluster", capability)
				}
			}
		}
	}
	for name, probe := range map[string]*v1.Probe{
		"readinessProbe": container.ReadinessProbe, "livenessProbe": container.LivenessProbe, "startupProbe": container.StartupProbe,
	} {
		if probe != nil && probe.GRPC != nil {
			return name + ".grpc: not supported by this node; use httpGet, tcpSocket or exec"
		}
	}
	if container.WorkingDir != "" {
		if info, err := os.Stat(container.WorkingDir); err != nil || !info.IsDir() {
			return fmt.Sprintf("workingDir %s: no such directory on this host", container.WorkingDir)
		}
	}
	return ""
}

// usesServiceAccount says whether the container is to have the pod's credentials: the API server adds the mount unless
// automountServiceAccountToken is false on the pod or on its ServiceAccount.
func usesServiceAccount(container *v1.Container) bool {
	return slices.ContainsFunc(container.VolumeMounts, func(m v1.VolumeMount) bool { return m.MountPath == serviceAccountPath })
}
