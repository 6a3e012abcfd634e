package service

import (
	"fmt"
	"net/netip"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"servicefailover.dev/embedded/node/network"
)

// LoadBalancers gives LoadBalancer Services their addresses. What it has given stands in status.loadBalancer, so it needs no memory of its own:
// Claim every Service once before the first Assign.
type LoadBalancers struct {
	prefix netip.Prefix
	owner  map[netip.Addr]types.NamespacedName
}

// NewLoadBalancers makes the set for one range.
func NewLoadBalancers(prefix netip.Prefix) *LoadBalancers {
	return &LoadBalancers{prefix: prefix.Masked(), owner: map[netip.Addr]types.NamespacedName{}}
}

// Claim takes over the address that a Service's status holds.
func (l *LoadBalancers) Claim(service *v1.Service) {
	if address := l.inStatus(service); managed(service) && address.IsValid() && l.free(address, key(service)) {
		l.owner[address] = key(service)
	}
}

// Assign gives the Service's address: the one it asks for, the one it has, or the one that its name prefers. A Service that is no LoadBalancer
// (any more) has none.
func (l *LoadBalancers) Assign(service *v1.Service) (netip.Addr, error) {
	if !managed(service) {
		l.Release(key(service))
		return netip.Addr{}, nil
	}
	address := l.inStatus(service)
	if text := service.Spec.LoadBalancerIP; text != "" {
		wanted, err := netip.ParseAddr(text)
		if err != nil || !l.prefix.Contains(wanted) {
			return netip.Addr{}, fmt.Errorf("spec.loadBalancerIP %s: want an address in %s", text, l.prefix)
		}
		if !l.free(wanted, key(service)) {
			return netip.Addr{}, fmt.Errorf("spec.loadBalancerIP %s: Service %s has it", text, l.owner[wanted])
		}
		address = wanted
	}
	if !address.IsValid() || !l.free(address, key(service)) {
		for held, owner := range l.owner {
			if owner == key(service) {
				return held, nil
			}
		}
		var err error
		address, err = network.Preferred(l.prefix, key(service).String(), func(a netip.Addr) bool { return !l.free(a, key(service)) })
		if err != nil {
			return netip.Addr{}, err
		}
	}
	l.Release(key(service))
	l.owner[address] = key(service)
	return address, nil
}

// Release frees the address of a Service.
func (l *LoadBalancers) Release(service types.NamespacedName) {
	for address, owner := range l.owner {
		if owner == service {
			delete(l.owner, address)
		}
	}
}

func (l *LoadBalancers) free(address netip.Addr, service types.NamespacedName) bool {
	owner, taken := l.owner[address]
	return !taken || owner == service
}

// inStatus is the address of our range in the Service's status.
func (l *LoadBalancers) inStatus(service *v1.Service) netip.Addr {
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		if address, err := netip.ParseAddr(ingress.IP); err == nil && l.prefix.Contains(address) {
			return address
		}
	}
	return netip.Addr{}
}

// managed says whether the Service's load balancer is ours: a class names somebody else's.
func managed(service *v1.Service) bool {
	return service.Spec.Type == v1.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil
}

func key(service *v1.Service) types.NamespacedName {
	return types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
}
