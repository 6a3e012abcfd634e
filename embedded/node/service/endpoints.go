// Package service forwards TCP connections for Services, as kube-proxy does in the kernel: one listener for each address and port of a Service,
// connections go round robin to the ready endpoints that the EndpointSlice controller found.
package service

import (
	"net/netip"
	"slices"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Endpoints gives where connections to one port of a Service go: the ready endpoints, or, when none is ready, those that still serve while they
// terminate (a kube-proxy's rule, which keeps a Service up while its only pod is replaced). The result is sorted and free of duplicates.
func Endpoints(all []*discoveryv1.EndpointSlice, portName string) []netip.AddrPort {
	var ready, serving []netip.AddrPort
	for _, slice := range all {
		if slice.AddressType != discoveryv1.AddressTypeIPv4 {
			continue
		}
		port, found := portOf(slice, portName)
		if !found {
			continue
		}
		for _, endpoint := range slice.Endpoints {
			for _, text := range endpoint.Addresses[:min(1, len(endpoint.Addresses))] { // further ones mean the same endpoint
				address, err := netip.ParseAddr(text)
				if err != nil {
					continue
				}
				switch conditions := endpoint.Conditions; {
				case conditions.Ready == nil || *conditions.Ready:
					ready = append(ready, netip.AddrPortFrom(address, port))
				case conditions.Serving != nil && *conditions.Serving && conditions.Terminating != nil && *conditions.Terminating:
					serving = append(serving, netip.AddrPortFrom(address, port))
				}
			}
		}
	}
	if len(ready) == 0 {
		ready = serving
	}
	slices.SortFunc(ready, netip.AddrPort.Compare)
	return slices.Compact(ready)
}

func portOf(slice *discoveryv1.EndpointSlice, name string) (uint16, bool) {
	for _, port := range slice.Ports {
		same := port.Name == nil && name == "" || port.Name != nil && *port.Name == name
		if same && port.Port != nil && (port.Protocol == nil || *port.Protocol == v1.ProtocolTCP) {
			return uint16(*port.Port), true
		}
	}
	return 0, false
}

// Listen gives the addresses on which one port of a Service is reached, as the API has them.
func Listen(service *v1.Service, port v1.ServicePort, nodeAddress netip.Addr, loadBalancer netip.Addr) []netip.AddrPort {
	var out []netip.AddrPort
	if service.Spec.Type == v1.ServiceTypeExternalName {
		return nil
	}
	if address, err := netip.ParseAddr(service.Spec.ClusterIP); err == nil && address.Is4() {
		out = append(out, netip.AddrPortFrom(address, uint16(port.Port)))
	}
	if loadBalancer.IsValid() {
		out = append(out, netip.AddrPortFrom(loadBalancer, uint16(port.Port)))
	}
	if port.NodePort != 0 {
		out = append(out, netip.AddrPortFrom(nodeAddress, uint16(port.NodePort)))
	}
	return out
}
