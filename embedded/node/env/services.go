package env

import (
	"fmt"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// Services gives the variables that a pod gets for the Services of its namespace, as a kubelet does (NAME_SERVICE_HOST, NAME_SERVICE_PORT,
// NAME_SERVICE_PORT_<PORT NAME>, NAME_PORT and the docker-link forms). Hosts are realised. Services without an address of their own have none.
func Services(services []*v1.Service, realise func(string) string) map[string]string {
	out := map[string]string{}
	for _, service := range services {
		if service.Spec.ClusterIP == "" || service.Spec.ClusterIP == v1.ClusterIPNone || len(service.Spec.Ports) == 0 {
			continue
		}
		name, host := variableName(service.Name), realise(service.Spec.ClusterIP)
		first := service.Spec.Ports[0]
		out[name+"_SERVICE_HOST"] = host
		out[name+"_SERVICE_PORT"] = strconv.Itoa(int(first.Port))
		out[name+"_PORT"] = link(first, host)
		for _, port := range service.Spec.Ports {
			if port.Name != "" {
				out[name+"_SERVICE_PORT_"+variableName(port.Name)] = strconv.Itoa(int(port.Port))
			}
			prefix := fmt.Sprintf("%s_PORT_%d_%s", name, port.Port, protocol(port))
			out[prefix] = link(port, host)
			out[prefix+"_PROTO"] = strings.ToLower(protocol(port))
			out[prefix+"_PORT"] = strconv.Itoa(int(port.Port))
			out[prefix+"_ADDR"] = host
		}
	}
	return out
}

func variableName(name string) string {
	return strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}

func protocol(port v1.ServicePort) string {
	if port.Protocol == "" {
		return string(v1.ProtocolTCP)
	}
	return string(port.Protocol)
}

func link(port v1.ServicePort, host string) string {
	return fmt.Sprintf("%s://%s:%d", strings.ToLower(protocol(port)), host, port.Port)
}
